//! The program that `#[polyport::main]` makes.

tokio::task_local! {
    static NAME: &'static str;
}

/// Runs `main` of the package called `name`.
pub(crate) async fn named<T>(name: &'static str, main: impl Future<Output = T>) -> T {
    NAME.scope(name, main).await
}

/// The name of the package whose `main` lies around this task.
pub(crate) fn name() -> Option<String> {
    NAME.try_with(|name| (*name).to_owned()).ok()
}
