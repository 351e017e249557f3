//! The control socket's file, its pids, and what cannot be read.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener as BlockingListener;
use std::path::Path;

use serde_json::json;

use super::{Request, Socket, SocketError};
use crate::config::Secret;

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket())
}

#[tokio::test]
async fn a_socket_is_narrow_and_goes_with_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let socket = Socket::bind(&path).unwrap();
    assert!(is_socket(&path));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(socket);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_left_socket_is_replaced_and_a_used_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let other = BlockingListener::bind(&path).unwrap();
    assert!(matches!(Socket::bind(&path), Err(SocketError::InUse(_))));
    drop(other);
    let first = Socket::bind(&path).unwrap();
    // A broker that has ended does not take away the socket of the next.
    fs::remove_file(&path).unwrap();
    let _second = Socket::bind(&path).unwrap();
    drop(first);
    assert!(is_socket(&path));
}

#[tokio::test]
async fn nothing_else_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    fs::write(&path, "precious").unwrap();
    assert!(matches!(Socket::bind(&path), Err(SocketError::Io { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(Socket::bind(&link), Err(SocketError::Io { .. })));
    let deep = folder.path().join("d".repeat(120));
    assert!(matches!(
        Socket::bind(&deep),
        Err(SocketError::TooLong { .. })
    ));
    let nowhere = folder.path().join("no/such/folder");
    assert!(matches!(
        Socket::bind(&nowhere),
        Err(SocketError::Io { .. })
    ));
}

#[test]
fn requests_are_objects_with_the_name_of_an_operation() {
    let request = Request::AddUser {
        name: "bob".to_owned(),
        password: Secret::from("hunter2".to_owned()),
    };
    assert!(!format!("{request:?}").contains("hunter2"));
    let json = serde_json::to_value(&request).unwrap();
    assert_eq!(
        json,
        json!({"operation": "add_user", "name": "bob", "password": "hunter2"})
    );
    assert_eq!(serde_json::from_value::<Request>(json).unwrap(), request);
    let unknown = serde_json::from_value::<Request>(json!({"operation": "fly"}));
    assert!(unknown.is_err());
}
