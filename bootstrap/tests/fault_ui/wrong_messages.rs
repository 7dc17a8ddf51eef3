extern crate polyport_bootstrap as polyport;

use polyport::Fault;

#[derive(Debug, Fault)]
enum ImError {
    #[fault(not_found, message = "no {name}")]
    NoSuchField { id: u8 },
    #[fault(not_found, message = "no {1}")]
    NoSuchPlace(u8),
    #[fault(not_found, message = "no {}")]
    WithoutName(u8),
    #[fault(not_found, message = "no {0")]
    Open(u8),
    #[fault(not_found, message = "no {0:>1$}")]
    WidthOfAnother(u8, usize),
}

#[derive(Debug, Fault)]
enum Half {
    #[fault(not_found, message = "this one says it")]
    Said,
    #[fault(already_exists)]
    Unsaid,
}

fn main() {}
