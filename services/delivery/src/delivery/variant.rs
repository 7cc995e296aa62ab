//! Which of the forms that lie on a disk answers a request: the plain file, or one of its coded siblings.

use std::{sync::Arc, time::SystemTime};

use ferry_core::object::ObjectPath;
use http::HeaderMap;

use crate::{
    disk::{Disk, DiskError, OpenFile},
    semantics::{Coding, coding},
};

/// The form that was chosen.
#[derive(Debug)]
pub(super) struct Variant {
    /// The plain file, which says when the object was last changed, and what it is.
    pub(super) plain: Arc<OpenFile>,
    pub(super) form: Form,
    /// Whether another request may get another form.
    pub(super) varies: bool,
}

/// In which form the bytes are sent.
#[derive(Debug)]
pub(super) enum Form {
    Plain,
    Coded(Coding, Arc<OpenFile>),
    /// The client takes none of those that are there.
    None,
}

impl Variant {
    /// Opens the form that the client likes best of those that are there and current.
    ///
    /// A coded file without a plain one is nothing's form; one that is older than the plain file is that of an earlier version. Trouble
    /// with one form leads to the next: the object is there in another.
    pub(super) async fn choose(disk: &Disk, path: &ObjectPath, request: &HeaderMap) -> Result<Self, DiskError> {
        let plain = disk.open(path).await?;
        let offered = disk.precompressed();
        if offered.is_empty() {
            return Ok(Self { plain, form: Form::Plain, varies: false });
        }
        for form in coding::accepted(request, offered) {
            let Some(coding) = form else { return Ok(Self { plain, form: Form::Plain, varies: true }) };
            if let Ok(file) = disk.open_coded(path, coding).await
                && whole_seconds(&file) >= whole_seconds(&plain)
            {
                return Ok(Self { plain, form: Form::Coded(coding, file), varies: true });
            }
        }
        Ok(Self { plain, form: Form::None, varies: true })
    }
}

/// Tools that keep a file's time often keep no more of it than this.
fn whole_seconds(file: &OpenFile) -> u64 {
    file.modified().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
