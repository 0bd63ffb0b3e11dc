//! One file that is replaced as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The largest file that is read: a hundred thousand servers that all joined
/// take a quarter of it.
const BYTES_MAX: u64 = 64 << 20;

/// How many files of the same name are kept aside.
const ASIDE_MAX: u32 = 100;

/// Reads it; `None` when there is none.
///
/// # Errors
/// When it is there and cannot be read.
pub(super) fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    opened.take(BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        let message = format!("it is larger than {BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(Some(text))
}

/// Has `text` be what is in it: after this, and after a loss of power, all of
/// it is; after an error, or when the process ends on the way, what was there
/// before still is. Waits for the disk.
///
/// # Errors
/// When it cannot be written.
pub(super) fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let new = beside(file, ".new");
    let written = write(&new, text).and_then(|()| fs::rename(&new, file));
    if let Err(error) = written {
        // A full disk should not be filled by what is of no use.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    // The name is safe only when the folder is.
    File::open(folder(file))?.sync_all()
}

fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut opened = options.open(file)?;
    opened.write_all(text)?;
    opened.sync_all()
}

/// Puts it out of the way under a name that is free, which is returned.
///
/// # Errors
/// When it cannot be renamed, or too many are there already.
pub(super) fn set_aside(file: &Path) -> io::Result<PathBuf> {
    let names = (1..=ASIDE_MAX).map(|n| match n {
        1 => beside(file, ".bad"),
        n => beside(file, &format!(".bad-{n}")),
    });
    for aside in names {
        if !aside.try_exists()? {
            fs::rename(file, &aside)?;
            return Ok(aside);
        }
    }
    let message = format!("{ASIDE_MAX} such files are there already");
    Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
