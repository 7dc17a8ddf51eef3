//! The database: opened once, closed after everything that used it.

use std::{path::Path, time::Duration};

use polyport::prelude::*;
use serde::Deserialize;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

pub(crate) struct StoreModule;

impl Module for StoreModule {
    fn name(&self) -> &str {
        "store"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.default_config(serde_json::json!({ "im": { "database": "run/im.sqlite" } }));
        m.default_config_for("unittest", serde_json::json!({ "im": { "database": ":memory:" } }));
        m.provide_with(open_pool).on_dispose(async |pool| {
            pool.close().await;
            Ok(())
        });
        Ok(())
    }
}

/// The section `im`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreSettings {
    /// A file, relative to the application's base directory, or `:memory:`.
    database: String,
}

const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS users (
        user_id TEXT PRIMARY KEY,
        username TEXT NOT NULL,
        age INTEGER NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS messages (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        room TEXT NOT NULL,
        sender TEXT NOT NULL,
        text TEXT NOT NULL,
        sent_at TEXT NOT NULL
    )",
    "CREATE INDEX IF NOT EXISTS messages_by_room ON messages (room, position)",
    "INSERT OR IGNORE INTO users VALUES ('tom', 'Tom', 10), ('jerry', 'Jerry', 9)",
];

async fn open_pool(config: Config) -> Result<SqlitePool> {
    let settings: StoreSettings = config.get("im")?;
    let pool = connect(&settings.database, config.root())
        .await
        .map_err(|error| error.context(format!("database {} (im.database)", settings.database)))?;
    for statement in SCHEMA {
        sqlx::query(*statement).execute(&pool).await?;
    }
    Ok(pool)
}

async fn connect(database: &str, root: &Path) -> Result<SqlitePool> {
    if database == ":memory:" {
        // The data lives as long as its one connection: it must neither be joined by a second
        // one nor be given up when idle.
        let one = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        return Ok(one.connect_with(SqliteConnectOptions::new().in_memory(true)).await?);
    }
    let file = root.join(database);
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(5));
    Ok(SqlitePoolOptions::new().max_connections(4).connect_with(options).await?)
}
