//! Users, their connections, and single ones.

use polyport_bootstrap::{Fault, Module, ModuleBuilder, Result, operation::Query};
use polyport_websocket::{
    Socket, SocketId, WebSocketModule,
    testing::{Received, WebSocketTest},
};
use serde::Deserialize;
use serde_json::json;

use crate::support::{chat, eventually, websocket};

#[derive(Deserialize)]
struct Login {
    user: Option<String>,
}

async fn enter(socket: Socket, Query(login): Query<Login>) -> Result<(), Fault> {
    if let Some(user) = login.user {
        socket.identify(&user);
    }
    Ok(())
}

async fn whoami(socket: Socket) -> Result<(SocketId, Option<String>), Fault> {
    Ok((socket.id(), socket.user().map(|user| user.to_string())))
}

async fn leave(socket: Socket) -> Result<(), Fault> {
    socket.forget_user();
    Ok(())
}

struct Users;

impl Module for Users {
    fn name(&self) -> &'static str {
        "users"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.websocket(|g| g.on_connect(enter).on("whoami", whoami).on("logout", leave));
        Ok(())
    }
}

#[tokio::test]
async fn a_user_is_reached_on_all_connections() {
    let app = chat(Users).await.unwrap();
    let handle = websocket(&app);
    let mut phone = app.websocket("/ws?user=tom").await;
    let mut desk = app.websocket("/ws?user=tom").await;
    let mut ann = app.websocket("/ws?user=ann").await;
    let mut nobody = app.websocket("/ws").await;
    for client in [&mut phone, &mut desk, &mut ann, &mut nobody] {
        client.call("whoami", &()).await;
    }
    assert_eq!(handle.sockets_of("tom").len(), 2);
    assert_eq!(handle.user("tom").emit("mail", &1).unwrap(), 2);
    for client in [&mut phone, &mut desk] {
        assert_eq!(client.next().await, Received::Frame(json!({ "event": "mail", "data": 1 })));
    }

    desk.call("logout", &()).await;
    assert_eq!(handle.user("tom").emit("mail", &2).unwrap(), 1);
    drop(phone);
    eventually("the phone is gone", || handle.sockets_of("tom").is_empty()).await;
    assert_eq!(handle.user("tom").emit("mail", &3).unwrap(), 0);
    assert_eq!(handle.user("ann").emit("mail", &4).unwrap(), 1);
    // Nothing has come to the others in between.
    assert_eq!(ann.next().await, Received::Frame(json!({ "event": "mail", "data": 4 })));
    assert_eq!(desk.call("whoami", &()).await["data"]["data"][1], json!(null));
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_connection_is_reached_by_its_id_and_left_out_by_it() {
    let app = chat(Users).await.unwrap();
    let handle = websocket(&app);
    let (mut tom, mut ann) = (app.websocket("/ws").await, app.websocket("/ws").await);
    let answer = tom.call("whoami", &()).await;
    ann.call("whoami", &()).await;
    let id: SocketId = serde_json::from_value(answer["data"]["data"][0].clone()).unwrap();
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(handle.to(id).emit("you", &1).unwrap(), 1);
    assert_eq!(tom.next().await, Received::Frame(json!({ "event": "you", "data": 1 })));
    assert_eq!(handle.everybody().except(id).emit("others", &1).unwrap(), 1);
    assert_eq!(ann.next().await, Received::Frame(json!({ "event": "others", "data": 1 })));
    tom.close().await;
    eventually("tom is gone", || handle.connections() == 1).await;
    assert_eq!(handle.to(id).emit("you", &1).unwrap(), 0);
    app.close().await.unwrap();
}
