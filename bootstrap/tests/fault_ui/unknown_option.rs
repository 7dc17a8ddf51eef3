extern crate polyport_bootstrap as polyport;

use polyport::Fault;

#[derive(Debug, Fault)]
#[fault(not_found, text = "x")]
struct Text;

#[derive(Debug, Fault)]
#[fault(not_found, code = 4711, message = "x")]
struct NumericCode;

#[derive(Debug, Fault)]
#[fault(not_found, status = 204, message = "x")]
struct StatusOfSuccess;

#[derive(Debug, Fault)]
#[fault(not_found, "no user", message = "x")]
struct ReasonForPeople;

#[derive(Debug, Fault)]
#[fault(not_found, "ONE", "TWO", message = "x")]
struct TwoReasons;

fn main() {}
