//! Small records: one line of JSON each, replaced as a whole, read on demand, with a bounded cache in memory.
//!
//! A record is renamed into place but not synced: after a power loss it may be missing or empty. Both count as absent.

use std::io;
use std::path::{Path, PathBuf};

use moka::Entry;
use moka::future::Cache;
use moka::ops::compute::Op;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::folder::Folder;
use super::layout::Layout;
use crate::disk::blocking::off_worker;
use crate::disk::files::{read_whole, write_record};
use crate::disk::io::Disk;
use crate::events::Events;

/// The records of one type.
#[derive(Clone)]
pub(crate) struct Records<T> {
    folder: Folder,
    cache: Cache<PathBuf, T>,
}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Records<T> {
    pub(crate) fn new(folder: Folder, remembered: u64) -> Self {
        Self { folder, cache: Cache::new(remembered) }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.folder.layout
    }

    pub(crate) fn events(&self) -> &dyn Events {
        &*self.folder.events
    }

    /// Forgets the records in memory: the next reads go to the disk.
    pub(crate) fn forget_remembered(&self) {
        self.cache.invalidate_all();
    }

    pub(crate) async fn get(&self, path: PathBuf) -> Option<T> {
        self.cache.optionally_get_with_by_ref(&path, self.folder.load(path.clone())).await
    }

    /// Names in a folder of records.
    pub(crate) async fn names(&self, folder: PathBuf) -> io::Result<Vec<String>> {
        let disk = self.folder.disk.clone();
        off_worker(move || disk.names(&folder)).await
    }

    /// The paths among `paths` that have a record, on the disk or in memory. One blocking job checks all of them.
    pub(crate) async fn present(&self, paths: Vec<PathBuf>) -> io::Result<Vec<PathBuf>> {
        let (disk, cache) = (self.folder.disk.clone(), self.cache.clone());
        off_worker(move || {
            let is_missing = |path: &Path| {
                let found = disk.open(path);
                found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
            };
            Ok(paths.into_iter().filter(|path| !is_missing(path) || cache.contains_key(path)).collect())
        })
        .await
    }

    /// Every readable record in `top` and the folders below it.
    pub(crate) async fn below(&self, top: PathBuf) -> io::Result<Vec<T>> {
        let disk = self.folder.disk.clone();
        off_worker(move || {
            let (mut folders, mut records) = (vec![top], Vec::new());
            while let Some(folder) = folders.pop() {
                for entry in disk.list(&folder)? {
                    let path = folder.join(&entry.name);
                    if entry.size.is_none() {
                        folders.push(path);
                    } else if let Ok(line) = read_whole(&*disk, &path, RECORD_MAX) {
                        records.extend(serde_json::from_slice::<T>(&line));
                    }
                }
            }
            Ok(records)
        })
        .await
    }

    /// Removes the record, in memory and on disk. True if there was one.
    pub(crate) async fn remove(&self, path: PathBuf) -> io::Result<bool> {
        let disk = self.folder.disk.clone();
        let mut removed = Ok(false);
        let result = &mut removed;
        let entry = self.cache.entry(path.clone());
        entry
            .and_compute_with(|_| async move {
                *result = off_worker(move || remove_known(&*disk, &path)).await;
                Op::Remove
            })
            .await;
        removed
    }

    /// Like [`Records::remove`], but only if `condition` is true for the current record. `condition` may block.
    pub(crate) async fn remove_if(
        &self,
        path: PathBuf,
        condition: impl FnOnce(&dyn Disk, &T) -> bool + Send + 'static,
    ) -> io::Result<bool> {
        let folder = self.folder.clone();
        let mut removed = Ok(false);
        let result = &mut removed;
        let entry = self.cache.entry(path.clone());
        entry
            .and_compute_with(|remembered| async move {
                let Some(record) = folder.present(remembered, &path).await else { return Op::Nop };
                let disk = folder.disk;
                *result = off_worker(move || {
                    if condition(&*disk, &record) { remove_known(&*disk, &path) } else { Ok(false) }
                })
                .await;
                if matches!(result, Ok(true)) { Op::Remove } else { Op::Nop }
            })
            .await;
        removed
    }

    /// Replaces the record with the one that `next` returns, and returns the second value of `next`. If `next` returns
    /// `None`, the record stays. `next` may block.
    pub(crate) async fn change<R: Send + 'static>(
        &self,
        path: PathBuf,
        next: impl FnOnce(Option<T>) -> Option<(T, R)> + Send + 'static,
    ) -> Option<R> {
        let folder = self.folder.clone();
        let mut said = None;
        let answer = &mut said;
        let entry = self.cache.entry(path.clone());
        entry
            .and_compute_with(|remembered| async move {
                let remembered = remembered.map(Entry::into_value);
                // The read and the write are one blocking job, because the first byte of a fill waits for both.
                let changed = off_worker(move || Ok(folder.change(remembered, &path, next))).await;
                let Ok(Some((record, extra))) = changed else { return Op::Nop };
                *answer = Some(extra);
                Op::Put(record)
            })
            .await;
        said
    }

    /// Like [`Records::change`], but in memory only.
    pub(crate) async fn change_remembered<R: Send + 'static>(
        &self,
        path: PathBuf,
        next: impl FnOnce(Option<T>) -> Option<(T, R)> + Send + 'static,
    ) -> Option<R> {
        let folder = self.folder.clone();
        let mut said = None;
        let answer = &mut said;
        let entry = self.cache.entry(path.clone());
        entry
            .and_compute_with(|remembered| async move {
                let Some((record, extra)) = next(folder.present(remembered, &path).await) else {
                    return Op::Nop;
                };
                *answer = Some(extra);
                Op::Put(record)
            })
            .await;
        said
    }

    /// Writes the record in memory to the disk, if there is one and `condition` is true for it. `condition` may block.
    pub(crate) async fn write_remembered(
        &self,
        path: PathBuf,
        condition: impl FnOnce(&dyn Disk, &T) -> bool + Send + 'static,
    ) {
        let folder = self.folder.clone();
        let entry = self.cache.entry(path.clone());
        entry
            .and_compute_with(|remembered| async move {
                let Some(record) = remembered.map(Entry::into_value) else { return Op::Nop };
                let written = off_worker(move || {
                    if condition(&*folder.disk, &record) {
                        folder.write(&path, &record);
                    }
                    Ok(())
                });
                let _ = written.await;
                Op::Nop
            })
            .await;
    }
}

impl Folder {
    /// The record at `path`, from memory if it is there, else from the disk.
    async fn present<T: DeserializeOwned + Send + 'static>(
        &self,
        remembered: Option<Entry<PathBuf, T>>,
        path: &Path,
    ) -> Option<T> {
        match remembered {
            Some(entry) => Some(entry.into_value()),
            None => self.load(path.to_owned()).await,
        }
    }

    async fn load<T: DeserializeOwned + Send + 'static>(&self, path: PathBuf) -> Option<T> {
        let folder = self.clone();
        off_worker(move || Ok(folder.read(&path))).await.ok().flatten()
    }

    /// The record at `path`. Blocks.
    fn read<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        match read_whole(&*self.disk, path, RECORD_MAX) {
            Ok(line) => serde_json::from_slice(&line).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.events.disk_failed(&error);
                None
            }
        }
    }

    /// Writes the record that `next` makes from the current one, and returns the result of `next`. Blocks.
    fn change<T: DeserializeOwned + Serialize, R>(
        &self,
        remembered: Option<T>,
        path: &Path,
        next: impl FnOnce(Option<T>) -> Option<(T, R)>,
    ) -> Option<(T, R)> {
        let (record, said) = next(remembered.or_else(|| self.read(path)))?;
        self.write(path, &record);
        Some((record, said))
    }

    /// Writes a record. A failure is reported to the sink. Blocks.
    fn write<T: Serialize>(&self, path: &Path, record: &T) {
        let line = serde_json::to_vec(record).expect("invariant: records are plain data");
        if let Err(error) = write_record(&*self.disk, &self.layout.temporary(), path, &line) {
            self.events.disk_failed(&error);
        }
    }
}

/// Removes a file. True if it existed.
fn remove_known(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        _ => disk.remove(path).map(|()| true),
    }
}

/// Longest record, bytes: names are at most 255 characters, media types are cut below that.
pub(crate) const RECORD_MAX: u64 = 4096;
