use std::sync::Arc;

use async_trait::async_trait;
use polyport::prelude::*;
use sqlx::SqlitePool;

use super::Message;

/// Where messages are kept.
#[async_trait]
pub trait MessageRepo: Send + Sync {
    /// Keeps a message; says whether it was new.
    ///
    /// # Errors
    /// Returns an error where the store cannot be written.
    async fn insert(&self, message: &Message) -> Result<bool>;

    /// The last messages of a room, at most `limit`, newest last.
    ///
    /// # Errors
    /// Returns an error where the store cannot be asked.
    async fn last(&self, room: &str, limit: u32) -> Result<Vec<Message>>;
}

#[derive(Provide)]
pub(super) struct SqlMessageRepo {
    #[inject]
    pool: Arc<SqlitePool>,
}

#[async_trait]
impl MessageRepo for SqlMessageRepo {
    async fn insert(&self, message: &Message) -> Result<bool> {
        let inserted = sqlx::query(
            "INSERT OR IGNORE INTO messages (id, room, sender, text, sent_at) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(&message.id)
        .bind(&message.room)
        .bind(&message.from)
        .bind(&message.text)
        .bind(&message.sent_at)
        .execute(&*self.pool)
        .await?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn last(&self, room: &str, limit: u32) -> Result<Vec<Message>> {
        let mut messages: Vec<Message> = sqlx::query_as(
            "SELECT id, room, sender, text, sent_at FROM messages WHERE room = ?
             ORDER BY position DESC LIMIT ?",
        )
        .bind(room)
        .bind(limit)
        .fetch_all(&*self.pool)
        .await?;
        messages.reverse();
        Ok(messages)
    }
}
