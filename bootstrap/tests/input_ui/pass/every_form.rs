extern crate polyport_bootstrap as polyport;

use garde::Validate;
use polyport::operation::Input;

#[derive(Input, Validate)]
#[input(crate = polyport_bootstrap)]
#[serde(rename_all = "camelCase", default)]
#[garde(allow_unvalidated)]
struct Every<T: Default> {
    plain: String,
    #[from(path)]
    path: u64,
    #[from(path = "id", query = "i", header = "X-Id", cookie = "id", body = "id",)]
    all: Option<T>,
    #[from(header)]
    user_agent: Vec<String>,
    #[from(body)]
    r#type: u8,
    #[serde(rename(deserialize = "x"), alias = "y", alias = "z")]
    renamed: u8,
    #[serde(skip)]
    skipped: std::sync::Arc<u8>,
}

impl<T: Default> Default for Every<T> {
    fn default() -> Self {
        Self {
            plain: String::new(),
            path: 0,
            all: None,
            user_agent: Vec::new(),
            r#type: 1,
            renamed: 2,
            skipped: std::sync::Arc::default(),
        }
    }
}

fn binds<T: polyport::operation::Bind>() {}

fn main() {
    binds::<Every<u8>>();
}
