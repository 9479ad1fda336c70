//! What is written and read is a regular file, whole or not at all.

use backflow_store::{atomic, regular};
use std::path::Path;

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    atomic::write(&path, b"old").unwrap();
    atomic::write(&path, b"new and longer").unwrap();
    assert_eq!(regular::read(&path).unwrap(), b"new and longer");
    assert_eq!(names(folder.path()), ["config.json"]);
}

/// The longest that a name can be: what is written beside it has a name of its own.
#[test]
fn a_name_may_be_as_long_as_names_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n".repeat(255));
    atomic::write(&path, b"bytes").unwrap();
    assert_eq!(regular::read(&path).unwrap(), b"bytes");
    assert!(atomic::write(&folder.path().join("n".repeat(256)), b"bytes").is_err());
    assert_eq!(names(folder.path()), ["n".repeat(255)]);
}

#[test]
fn a_folder_is_neither_replaced_nor_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    std::fs::create_dir(&path).unwrap();
    for error in [atomic::write(&path, b"bytes").unwrap_err(), regular::read(&path).unwrap_err()] {
        assert_eq!(error.to_string(), "it is a folder, not a file");
    }
    assert_eq!(names(folder.path()), ["model"]);
    assert!(names(&path).is_empty());
    assert!(atomic::write(Path::new("/"), b"").is_err() && atomic::write(&path.join(".."), b"").is_err());
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    for (bytes, text) in [(&b"\xef\xbb\xbf{}"[..], "{}"), (b"{}", "{}"), (b"\xef\xbb\xbf", ""), (b"", "")] {
        atomic::write(&path, bytes).unwrap();
        assert_eq!(regular::read_text(&path).unwrap(), text);
    }
    atomic::write(&path, b"\xff\xfe").unwrap();
    let error = regular::read_text(&path).unwrap_err().to_string();
    assert!(error.starts_with("not text: "), "{error}");
}

/// It has no blocks on disk: it only says that it is long.
#[test]
fn a_file_longer_than_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
    if file.set_len(1 << 43).is_err() {
        return; // a file system without sparse files
    }
    assert_eq!(regular::read(&path).unwrap_err().kind(), std::io::ErrorKind::OutOfMemory);
}

#[cfg(unix)]
mod unix {
    use super::names;
    use backflow_store::{atomic, regular};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    /// Who may read a file does not change when it is written anew.
    #[test]
    fn permissions_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        atomic::write(&path, b"old").unwrap();
        for mode in [0o600, 0o640, 0o755] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            atomic::write(&path, b"new").unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
    }

    #[test]
    fn a_link_stays_a_link_and_what_it_leads_to_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let inside = |name: &str| folder.path().join(name);
        std::fs::create_dir(inside("elsewhere")).unwrap();
        atomic::write(&inside("elsewhere/file"), b"old").unwrap();
        symlink("elsewhere/file", inside("link")).unwrap();
        symlink("link", inside("second")).unwrap();
        // To nothing yet.
        symlink(inside("elsewhere/later"), inside("dangling")).unwrap();
        for (link, target) in [("link", "file"), ("second", "file"), ("dangling", "later")] {
            atomic::write(&inside(link), link.as_bytes()).unwrap();
            assert!(std::fs::symlink_metadata(inside(link)).unwrap().is_symlink(), "{link}");
            assert_eq!(regular::read(&inside(&format!("elsewhere/{target}"))).unwrap(), link.as_bytes());
            assert_eq!(regular::read(&inside(link)).unwrap(), link.as_bytes());
        }
        assert_eq!(names(folder.path()), ["dangling", "elsewhere", "link", "second"]);
        assert_eq!(names(&inside("elsewhere")), ["file", "later"]);
        symlink("b", inside("a")).unwrap();
        symlink("a", inside("b")).unwrap();
        assert!(atomic::write(&inside("a"), b"").is_err(), "links in a circle");
    }

    #[test]
    fn devices_pipes_and_sockets_are_refused_by_name_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, socket) = (folder.path().join("pipe"), folder.path().join("socket"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        symlink("/dev/null", folder.path().join("link")).unwrap();
        let link = folder.path().join("link");
        let cases = [
            (Path::new("/dev/null"), "it is a device, not a file"),
            (&link, "it is a device, not a file"),
            (&pipe, "it is a pipe, not a file"),
            (&socket, "it is a socket, not a file"),
        ];
        for (path, why) in cases {
            for error in [atomic::write(path, b"bytes").unwrap_err(), regular::read(path).unwrap_err()] {
                assert_eq!(error.to_string(), why, "{}", path.display());
            }
            assert!(!std::fs::metadata(path).unwrap().is_file(), "{}", path.display());
        }
        assert_eq!(names(folder.path()), ["link", "pipe", "socket"]);
    }
}
