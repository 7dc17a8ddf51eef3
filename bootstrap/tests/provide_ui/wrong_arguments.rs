extern crate polyport_bootstrap as polyport;

use std::sync::Arc;

use polyport::Provide;

#[derive(Provide)]
struct Service {
    #[config]
    without_key: u32,
    #[config(users.page_size)]
    without_quotes: u32,
    #[config("")]
    empty_key: u32,
    #[inject(nam = "replica")]
    misspelled: Arc<String>,
    #[inject = "replica"]
    without_name: Arc<String>,
    #[inject()]
    without_anything: Arc<String>,
    #[app(name = "")]
    empty_name: Arc<String>,
    #[provide(eager)]
    misplaced: u32,
}

fn main() {}
