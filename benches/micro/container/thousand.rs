//! A thousand providers: a hundred types, ten names each. dill knows no names, so it makes ten
//! catalogs of a hundred. shaku and froodi list theirs at compile time, which is another trade.
#![allow(clippy::expect_used, reason = "a benchmark that cannot go on ends")]

use polyport_bootstrap::{
    Result,
    container::{ContainerBuilder, Dependency, Key, Provide, Resolver},
};
use tokio::runtime::Runtime;

/// Calls `$one!(number)` a hundred times.
macro_rules! hundred {
    ($one:ident) => { hundred!(@tens $one 0 1 2 3 4 5 6 7 8 9) };
    (@tens $one:ident $($a:literal)*) => { $( hundred!(@ones $one $a 0 1 2 3 4 5 6 7 8 9); )* };
    (@ones $one:ident $a:literal $($b:literal)*) => { $( $one!($a * 10 + $b); )* };
}

/// Ten of each type, so that this compiles in reasonable time.
const NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

struct Unit<const NUMBER: usize>;

impl<const NUMBER: usize> Provide for Unit<NUMBER> {
    fn dependencies() -> Vec<Dependency> {
        Vec::new()
    }

    async fn construct(_: Resolver<'_>) -> Result<Self> {
        Ok(Self)
    }
}

/// What needs all of them: the way by which a start builds what is reached.
struct All;

impl Provide for All {
    fn dependencies() -> Vec<Dependency> {
        let mut all = Vec::with_capacity(1000);
        macro_rules! needed {
            ($number:expr) => {
                let key = Key::of::<Unit<{ $number }>>();
                all.extend(NAMES.map(|name| Dependency::required(key.clone().named(name))));
            };
        }
        hundred!(needed);
        all
    }

    async fn construct(_: Resolver<'_>) -> Result<Self> {
        Ok(Self)
    }
}

pub(super) fn polyport(runtime: &Runtime) {
    let mut builder = ContainerBuilder::new();
    macro_rules! registered {
        ($number:expr) => {
            for name in NAMES {
                builder.provide::<Unit<{ $number }>>().named(name);
            }
        };
    }
    hundred!(registered);
    builder.provide::<All>();
    let container = builder.build().expect("fits together");
    runtime.block_on(container.get::<All>()).expect("is built");
}

pub(super) fn dill() {
    NAMES.iter().for_each(|_| dill_hundred());
}

fn dill_hundred() {
    let mut builder = dill::CatalogBuilder::new();
    macro_rules! registered {
        ($number:expr) => {
            builder.add_value_lazy(|| Unit::<{ $number }>);
        };
    }
    hundred!(registered);
    builder.validate().expect("fits together");
    let catalog = builder.build();
    macro_rules! built {
        ($number:expr) => {
            catalog.get_one::<Unit<{ $number }>>().expect("is built");
        };
    }
    hundred!(built);
}
