//! The graph as text that others draw.

use std::fmt::Write;

use super::{Graph, GraphEdge, GraphProvider};

/// A language that draws graphs.
struct Language {
    begin: &'static str,
    end: &'static str,
    /// Opens a box around the providers of a module.
    open: fn(&mut String, usize, &str),
    close: &'static str,
    provider: fn(&mut String, usize, &str),
    operation: fn(&mut String, usize, &str),
    hook: fn(&mut String, usize, &str),
    /// From, to, and whether it is an edge that can be done without.
    edge: fn(&mut String, &str, usize, bool),
    /// Between two lines of a label.
    line_break: &'static str,
}

/// A Mermaid flowchart.
pub(super) fn mermaid(graph: &Graph) -> String {
    draw(graph, &MERMAID)
}

/// A Graphviz digraph.
pub(super) fn dot(graph: &Graph) -> String {
    draw(graph, &DOT)
}

const MERMAID: Language = Language {
    begin: "flowchart LR\n",
    end: "",
    open: |out, index, name| line(out, format_args!("  subgraph m{index}[{}]", entities(name))),
    close: "  end\n",
    provider: |out, index, label| line(out, format_args!("    p{index}[{}]", entities(label))),
    operation: |out, index, label| line(out, format_args!("  o{index}([{}])", entities(label))),
    hook: |out, index, label| line(out, format_args!("  h{index}{{{{{}}}}}", entities(label))),
    edge: |out, from, to, is_weak| {
        let arrow = if is_weak { "-.->" } else { "-->" };
        line(out, format_args!("  {from} {arrow} p{to}"));
    },
    line_break: "<br/>",
};

const DOT: Language = Language {
    begin: "digraph application {\n  rankdir=LR;\n  node [shape=box];\n",
    end: "}\n",
    open: |out, index, name| {
        line(out, format_args!("  subgraph cluster_{index} {{\n    label={};", escaped(name)));
    },
    close: "  }\n",
    provider: |out, index, label| {
        line(out, format_args!("    p{index} [label={}];", escaped(label)))
    },
    operation: |out, index, label| {
        line(out, format_args!("  o{index} [label={}, shape=oval];", escaped(label)));
    },
    hook: |out, index, label| {
        line(out, format_args!("  h{index} [label={}, shape=hexagon];", escaped(label)));
    },
    edge: |out, from, to, is_weak| {
        let style = if is_weak { " [style=dashed]" } else { "" };
        line(out, format_args!("  {from} -> p{to}{style};"));
    },
    line_break: "\n",
};

fn draw(graph: &Graph, language: &Language) -> String {
    let mut out = language.begin.to_owned();
    for (index, operation) in graph.operations.iter().enumerate() {
        (language.operation)(&mut out, index, &operation.title);
    }
    for (index, hook) in graph.hooks.iter().enumerate() {
        (language.hook)(&mut out, index, &hook.title);
    }
    for (index, module) in modules(graph).into_iter().enumerate() {
        (language.open)(&mut out, index, module);
        let of_module = |(_, provider): &(usize, &GraphProvider)| provider.module == module;
        for (index, provider) in graph.providers.iter().enumerate().filter(of_module) {
            (language.provider)(&mut out, index, &label(provider, language.line_break));
        }
        out.push_str(language.close);
    }
    for (index, operation) in graph.operations.iter().enumerate() {
        edges(&mut out, language, &format!("o{index}"), &operation.depends_on);
    }
    for (index, hook) in graph.hooks.iter().enumerate() {
        edges(&mut out, language, &format!("h{index}"), &hook.depends_on);
    }
    for (index, provider) in graph.providers.iter().enumerate() {
        edges(&mut out, language, &format!("p{index}"), &provider.depends_on);
    }
    out.push_str(language.end);
    out
}

/// The modules that provide something, in the order in which they first do.
fn modules(graph: &Graph) -> Vec<&str> {
    let mut modules = Vec::new();
    for provider in &graph.providers {
        if !modules.contains(&provider.module.as_str()) {
            modules.push(&provider.module);
        }
    }
    modules
}

fn edges(out: &mut String, language: &Language, from: &str, edges: &[GraphEdge]) {
    for edge in edges {
        (language.edge)(
            out,
            from,
            edge.provider,
            matches!(edge.kind.as_str(), "optional" | "lazy"),
        );
    }
}

fn label(provider: &GraphProvider, line_break: &str) -> String {
    let mut label = provider.title.clone();
    if provider.scope != "singleton" {
        label += &format!("{line_break}{}", provider.scope);
    }
    if provider.private {
        label += &format!("{line_break}private");
    }
    if provider.eager {
        label += &format!("{line_break}eager");
    }
    if let Some(time) = provider.build_time {
        label += &format!("{line_break}built in {time:.1?}");
    }
    label
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

/// In quotes, with Mermaid's entities for what would end them or be taken for markup; the line
/// break of a label stays one.
fn entities(text: &str) -> String {
    let lines = text.split(MERMAID.line_break).map(|line| {
        let line = line.replace('#', "#35;").replace('"', "#quot;");
        line.replace('<', "#lt;").replace('>', "#gt;")
    });
    format!("\"{}\"", lines.collect::<Vec<_>>().join(MERMAID.line_break))
}

/// In quotes, as Graphviz reads them.
fn escaped(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
