//! The derive finds polyport where it is told, whatever else is in scope.

struct Fault;
struct String;
trait From {}

mod own {
    #[derive(Debug, polyport_bootstrap::Fault)]
    #[fault(crate = polyport_bootstrap)]
    pub enum Error {
        #[fault(not_found, message = "no {r#type}", "NO_TYPE")]
        Missing { r#type: u8 },
    }
}

fn main() {
    let _ = (Fault, String);
    let fault = polyport_bootstrap::Fault::from(own::Error::Missing { r#type: 1 });
    assert_eq!(fault.message(), "no 1");
}
