//! Where a test has failed.

use std::{fmt::Display, future::Future, panic::Location};

/// What the methods of a test client return: an error of `work` is a panic that names the line of
/// the test. Only a plain function knows who has called it, so such a method is `#[track_caller]`
/// and no `async fn`.
///
/// # Panics
/// The future panics where `work` gives an error.
///
/// # Cancel safety
/// As `work`.
///
/// # Examples
/// ```
/// use std::future::Future;
///
/// use polyport_bootstrap::testing::or_panic;
///
/// struct Client;
///
/// impl Client {
///     async fn try_ping(&self) -> Result<u32, String> {
///         Ok(7)
///     }
///
///     #[track_caller]
///     fn ping(&self) -> impl Future<Output = u32> {
///         or_panic(self.try_ping())
///     }
/// }
///
/// async fn answers() {
///     assert_eq!(Client.ping().await, 7);
/// }
/// ```
#[track_caller]
pub fn or_panic<T, E: Display>(
    work: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = T> {
    let at = Location::caller();
    async move {
        match work.await {
            Ok(value) => value,
            Err(error) => panic!("{at}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn ask(answer: Result<u32, &'static str>) -> impl Future<Output = u32> {
        or_panic(async move { answer })
    }

    #[tokio::test]
    async fn a_failure_names_the_line_that_has_asked() {
        assert_eq!(ask(Ok(1)).await, 1);
        let (asked, line) = (tokio::spawn(ask(Err("nobody answers"))), line!());
        let panic = asked.await.expect_err("it fails").into_panic();
        let said = panic.downcast_ref::<String>().expect("is text");
        assert!(said.starts_with(&format!("{}:{line}:", file!())), "{said}");
        assert!(said.ends_with(": nobody answers"), "{said}");
    }
}
