//! Values that are made of others.

use super::*;

const HOME: [(&str, &str); 2] = [("HOME", "/home/tom"), ("DB_PASSWORD", "hunter2")];

fn of(text: &str) -> Config {
    let folder = Folder::new(&[("config.default.toml", text)]);
    folder.builder().variables(HOME).name("im").build().unwrap()
}

/// What is wrong with the texts, one report each.
fn unfilled(config: &Config) -> Vec<String> {
    let error = config.validate().unwrap_err();
    match error.parts() {
        [] => vec![report(&error)],
        parts => parts.iter().map(report).collect(),
    }
}

#[test]
fn texts_are_filled_in_with_variables_keys_and_the_application() {
    let folder = Folder::new(&[(
        "config.default.toml",
        "home = '${env:HOME}/data'\nurl = 'http://${http.host}:${http.port}/'\n\
         where = '${app.name} in ${app.root} (${app.environment})'\n\
         second = '${hosts.1}'\nhosts = ['a', 'b']\nlist = ['${http.host}', 1]\n\
         [http]\nhost = 'h'\nport = 7001\n",
    )]);
    let config = folder.builder().variables(HOME).name("im").build().unwrap();
    let root = folder.path().display();
    assert_eq!(config.get::<String>("home").unwrap(), "/home/tom/data");
    assert_eq!(config.get::<String>("url").unwrap(), "http://h:7001/");
    assert_eq!(config.get::<String>("where").unwrap(), format!("im in {root} (unittest)"));
    assert_eq!(config.get::<String>("second").unwrap(), "b");
    assert_eq!(config.get::<Json>("list").unwrap(), json!(["h", 1]));
    config.validate().unwrap();
}

#[test]
fn a_text_that_is_one_reference_keeps_the_kind_of_its_value() {
    let config = of("p = '${http.port}'\ns = '${http}'\non = '${http.on}'\nz = '${http.hosts}'\n\
                     below = '${s.port}'\n[http]\nport = 7001\non = true\nhosts = ['a']\n");
    assert_eq!(config.get::<u16>("p").unwrap(), 7001);
    assert!(config.get::<bool>("on").unwrap());
    assert_eq!(config.get::<Vec<String>>("z").unwrap(), ["a"]);
    assert_eq!(config.get::<u16>("s.port").unwrap(), 7001);
    assert_eq!(config.get::<u16>("below").unwrap(), 7001, "through what is filled in itself");
}

#[test]
fn every_layer_is_filled_in_and_from_every_layer() {
    let folder = Folder::new(&[
        ("config.default.toml", "a = '${x}'\nb = '${env:HOME}'"),
        ("config.unittest.yaml", "c: ${y}\n"),
    ]);
    let config = folder
        .builder()
        .variables([("HOME", "/h"), ("POLYPORT__D", "${z} and ${env:HOME}"), ("POLYPORT__Z", "7")])
        .module_defaults("m", json!({ "x": "${y}" }))
        .override_value("e", "${z}")
        .build()
        .unwrap();
    config.add(json!({ "y": "${env:HOME}!" })).unwrap();
    let expected = json!({
        "a": "/h!", "b": "/h", "c": "/h!", "d": "7 and /h", "e": 7, "x": "/h!", "y": "/h!", "z": 7,
    });
    assert_eq!(config.snapshot(), expected);
}

#[test]
fn what_stands_in_is_used_where_nothing_is_set_or_it_is_empty() {
    let config = of("empty = ''\na = '${env:NO:-7001}'\nb = '${no.key:-x}y'\nc = '${empty:-z}'\n\
                     d = '${env:NO:-${env:NEITHER:-${env:HOME}}}'\ne = '${env:NO:-}'\nf = '${empty}'\n");
    assert_eq!(config.get::<u16>("a").unwrap(), 7001);
    assert_eq!(config.get::<String>("a").unwrap(), "7001");
    assert_eq!(config.get::<String>("b").unwrap(), "xy");
    assert_eq!(config.get::<String>("c").unwrap(), "z");
    assert_eq!(config.get::<String>("d").unwrap(), "/home/tom");
    assert_eq!(config.get::<String>("e").unwrap(), "");
    assert_eq!(config.get::<String>("f").unwrap(), "");
}

#[test]
fn a_doubled_sign_stands_for_itself() {
    let config = of("a = 'cost: $${x} or $5 $'\n");
    assert_eq!(config.get::<String>("a").unwrap(), "cost: ${x} or $5 $");
}

#[test]
fn a_variable_is_a_value_where_it_stands_alone_and_text_where_text_is_wanted() {
    let folder = Folder::new(&[(
        "config.default.toml",
        "pin = '${env:PIN}'\nurl = 'x:${env:PIN}@${db.pin}'\ncopy = '${pin}'\nother = '${db.pin}'\n",
    )]);
    let variables = [("PIN", "1e5"), ("POLYPORT__DB__PIN", "1.50")];
    let config = folder.builder().variables(variables).build().unwrap();
    assert_eq!(config.get::<f64>("pin").unwrap(), 100_000.0);
    assert_eq!(config.get::<String>("pin").unwrap(), "1e5");
    assert_eq!(config.get::<String>("copy").unwrap(), "1e5");
    assert_eq!(config.get::<String>("url").unwrap(), "x:1e5@1.50");
    assert_eq!(config.get::<String>("other").unwrap(), "1.50");
}

#[test]
fn an_unknown_target_is_an_error_with_file_line_key_and_the_nearest() {
    let config = of("ok = 1\n[http]\nport = 7001\nurl = 'http://h:${http.prot}/'\n\
                     home = '${env:HOEM}'\nname = '${app.nam}'\n");
    assert_eq!(config.get::<u8>("ok").unwrap(), 1);
    assert_eq!(
        unfilled(&config),
        [
            "config/config.default.toml:5, key http.home: environment variable HOEM is not set; the\n    \
             nearest is env:HOME\n  help: set it, or say what stands in for it: \
             ${env:HOEM:-…}\n",
            "config/config.default.toml:6, key http.name: it is made of app.nam, which is not \
             set; the\n    nearest is app.name\n  help: set it, or say what stands in for it: \
             ${app.nam:-…}\n",
            "config/config.default.toml:4, key http.url: it is made of http.prot, which is not \
             set; the\n    nearest is http.port\n  help: set it, or say what stands in for it: \
             ${http.prot:-…}\n",
        ]
    );
    let error = config.get::<String>("http.url").unwrap_err().to_string();
    assert!(error.starts_with("config/config.default.toml:4, key http.url: "), "{error}");
    assert_eq!(config.get::<Json>("http").unwrap_err().parts().len(), 3);
    assert_eq!(config.get::<u16>("http.port").unwrap(), 7001);
}

#[test]
fn a_target_may_come_later() {
    let config = of("url = 'h:${remote.port}'\n");
    assert!(config.get::<String>("url").is_err());
    config.add(json!({ "remote": { "port": 1 } })).unwrap();
    assert_eq!(config.get::<String>("url").unwrap(), "h:1");
}

#[test]
fn a_circle_is_one_error_with_its_path() {
    let config = of("a = '${b}'\nb = 'x${c.d}'\nouter = '${a}'\n[c]\nd = '${a}'\n");
    assert_eq!(
        unfilled(&config),
        ["config/config.default.toml:5, key c.d: values are made of each other in a circle: \
          a → b → c.d\n    → a\n"]
    );
    for key in ["a", "b", "c.d", "outer", "c"] {
        assert!(config.get::<Json>(key).unwrap_err().to_string().contains("a → b → c.d → a"));
    }
    let own = of("[t]\na = 1\nb = '${t}'\nc = '${t.c}'\n");
    let expected = ["t.b → t", "t.c → t.c"];
    for (found, expected) in unfilled(&own).iter().zip(expected) {
        assert!(found.contains(&format!("in a circle: {expected}\n")), "{found}");
    }
}

#[test]
fn what_cannot_be_read_or_stand_in_a_text_is_an_error() {
    let config = of("a = '${open'\nb = '${x y}'\nc = 'x${t}'\nd = 'x${list}'\nlist = [1]\n[t]\n");
    assert_eq!(
        unfilled(&config),
        [
            "config/config.default.toml:1, key a: a ${ is not closed by }\n  help: where a text \
             holds ${ for itself, write it $${\n",
            "config/config.default.toml:2, key b: in ${…} stands neither a key nor env:NAME\n  \
             help: where a text holds ${ for itself, write it $${\n",
            "config/config.default.toml:3, key c: t is a table, which cannot stand within a text\n",
            "config/config.default.toml:4, key d: list is an array, which cannot stand within a \
             text\n",
        ]
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_unicode_is_an_error_where_it_is_used() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let folder = Folder::new(&[("config.default.toml", "a = '${env:BAD}'")]);
    let variables = [(OsString::from("BAD"), OsString::from_vec(vec![0xff]))];
    let config = folder.builder().variables(variables).build().unwrap();
    let error = config.get::<String>("a").unwrap_err().to_string();
    assert!(error.ends_with("environment variable BAD is not Unicode"), "{error}");
}

#[test]
fn the_place_of_a_value_says_what_it_was_made_of() {
    let config = of("url = 'http://${http.host}:${http.port}${env:HOME}${no:-!}'\n\
                     copy = '${http}'\n[http]\nhost = 'h'\nport = 7001\n\
                     [far]\nport = '${copy.port}'\nname = '${app.name}'\n");
    let place = config.explain("url").unwrap();
    assert_eq!(place.winner().to_string(), "config/config.default.toml:1");
    let written = "http://${http.host}:${http.port}${env:HOME}${no:-!}";
    assert_eq!(place.winner().value(), written);
    assert_eq!(
        place.made_of(),
        [
            "http.host (config/config.default.toml:4)",
            "http.port (config/config.default.toml:5)",
            "environment variable HOME",
            "what stands in for no",
        ]
    );
    let below = config.explain("copy.port").unwrap();
    assert_eq!(below.key(), "copy.port");
    assert_eq!(below.winner().to_string(), "config/config.default.toml:2");
    assert_eq!(below.made_of(), ["http (config/config.default.toml:3)"]);
    let far = |key| config.explain(key).unwrap().made_of().to_vec();
    assert_eq!(far("far.port"), ["copy.port (config/config.default.toml:2)"]);
    assert_eq!(far("far.name"), ["app.name (the application)"]);
    assert!(far("http.port").is_empty());
}

#[test]
fn what_is_made_of_a_secret_is_one() {
    let config = of("dsn = 'host=h auth=${db.password}'\nfrom = '${env:DB_PASSWORD}'\n\
                     again = 'x ${dsn}'\nold = '${env:DB_PASSWORD_OLD:-hunter2}'\nplain = '${env:HOME}'\n\
                     whole = '${vault}'\n[db]\npassword = 'hunter2'\n[vault]\nx = '${db.password}'\n");
    let snapshot = config.snapshot();
    for key in ["dsn", "from", "again", "old"] {
        assert_eq!(snapshot[key], "***", "{key}");
    }
    assert_eq!(snapshot["plain"], "/home/tom");
    for key in ["dsn", "from", "again", "old", "whole", "vault", "whole.x", ""] {
        let shown = format!("{:?}", config.explain(key).unwrap());
        assert!(!shown.contains("hunter2"), "{key}: {shown}");
    }
    for key in ["dsn", "from", "again", "old", "whole"] {
        let error = report(&config.get::<u8>(key).unwrap_err());
        assert!(error.contains(key) && !error.contains("hunter2"), "{key}: {error}");
    }
    assert!(!snapshot.to_string().contains("hunter2"));
    assert_eq!(config.get::<String>("again").unwrap(), "x host=h auth=hunter2");
}

#[test]
fn what_is_filled_in_cannot_fill_the_memory() {
    let doubling: String =
        (0..60).map(|at| format!("k{at} = '${{k{next}}}${{k{next}}}'\n", next = at + 1)).collect();
    let config = of(&format!("{doubling}k60 = '0123456789'\n"));
    let error = report(&config.validate().unwrap_err());
    assert!(error.contains("deep") || error.contains("bytes are filled in"), "{error}");
    let doubling: String = (0..14)
        .map(|at| format!("k{at} = '{}'\n", format!("${{k{}}}", at + 1).repeat(20)))
        .collect();
    let config = of(&format!("{doubling}k14 = '0123456789'\n"));
    let error = report(&config.validate().unwrap_err());
    assert!(error.contains("more than 4194304 bytes are filled in"), "{error}");
}

#[test]
fn a_long_chain_is_an_error_and_overflows_no_stack() {
    let table = |at: usize| format!("[t{at}{}]\nx = '${{t{}}}'\n", ".a".repeat(50), at + 1);
    let config = of(&(0..100).map(table).collect::<String>());
    assert!(report(&config.validate().unwrap_err()).contains("deep"));
}

#[test]
fn root_and_environment_of_the_application_are_not_configured() {
    let config = of("[app]\nname = 'chat'\nroot = '/x'\nenvironment = 'prod'\n");
    assert_eq!(config.name(), "chat");
    let faults = unfilled(&config);
    assert_eq!(
        faults[0],
        "config/config.default.toml:3, key app.root: it is decided before any configuration is \
         read\n  help: remove it; ${app.root} and ${app.environment} are there without\n",
    );
    assert!(faults[1].contains(":4, key app.environment: "));
    assert_eq!(of("").name(), "im");
}

#[test]
fn literal_text_is_left_alone() {
    let config = config(&[]);
    config.add(json!({ "a": literal("${env:HOME} $${x}") })).unwrap();
    assert_eq!(config.get::<String>("a").unwrap(), "${env:HOME} $${x}");
}
