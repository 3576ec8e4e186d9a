//! Opens a store: takes its folder and lock, puts its parts together, and starts its background jobs.

use std::sync::Arc;

use crate::checks::check::Checks;
use crate::checks::{recover, scrub};
use crate::config::{OpenError, StoreConfig};
use crate::content::buffers::Buffers;
use crate::content::recent::Recent;
use crate::content::unsynced::Unsynced;
use crate::disk::blocking::off_worker;
use crate::disk::io::Disk;
use crate::disk::local::LocalDisk;
use crate::disk::tenure;
use crate::disk::tenure::{HeldDisk, Tenure};
use crate::disk::timed::{Clock, TimedDisk};
use crate::events::Events;
use crate::records::boot::Boot;
use crate::records::folder::Folder;
use crate::records::layout;
use crate::records::layout::Layout;
use crate::records::link::Links;
use crate::records::tag::Tags;
use crate::space::allowance::Allowance;
use crate::space::health::{self, Health};
use crate::space::janitor;
use crate::space::room::{Measured, Room};
use crate::store::{Inner, Store};
use crate::tier::second::NoTier;

impl Store {
    /// Takes the folder's lock, waiting up to `lock_wait`, and begins to index the folder in the background.
    ///
    /// # Errors
    /// [`OpenError::Locked`] after the wait, [`OpenError::Folder`] when the folder cannot be used.
    pub async fn open(config: StoreConfig, events: Arc<dyn Events>) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(LocalDisk), config, events).await
    }

    pub(crate) async fn open_on(
        disk: Arc<dyn Disk>,
        config: StoreConfig,
        events: Arc<dyn Events>,
    ) -> Result<Self, OpenError> {
        let health = Arc::new(Health::new(events));
        let buffers = Buffers::default();
        let layout = Layout::new(config.dir.clone());
        let failed = |source| OpenError::Folder { dir: config.dir.clone(), source };
        let (bare, dir) = (disk.clone(), config.dir.clone());
        off_worker(move || bare.make_dir(&dir)).await.map_err(failed)?;
        let lock = recover::lock(&layout, &config).await?;
        let tenure = Arc::new(Tenure::new(layout.lock(), lock, health.clone()));
        let clock = Arc::new(Clock::new(health.clone()));
        let disk: Arc<dyn Disk> = Arc::new(TimedDisk::new(disk, clock.clone()));
        let disk: Arc<dyn Disk> = Arc::new(HeldDisk::new(disk, tenure.clone()));
        let boot = Arc::new(Boot::current(layout.clone(), disk.clone()));
        let folder = Folder { layout, disk, events: health.clone(), buffers, boot };
        let preparing = folder.clone();
        let checked = off_worker(move || {
            recover::sweep(&preparing.layout, &*preparing.disk)?;
            Ok(preparing.boot.recorded())
        });
        let checked = checked.await.map_err(failed)?;
        let measured = Measured::of(&folder, config.max_size).await;
        let looking = folder.clone();
        let beside = off_worker(move || looking.disk.names(looking.layout.dir())).await.unwrap_or_default();
        let unsynced = Arc::new(Unsynced::new());
        let room = Room {
            index: Arc::default(),
            health,
            links: Links::new(folder.clone()),
            tags: Tags::new(folder.clone(), unsynced.clone()),
            recent: Recent::new(),
            allowance: Arc::new(Allowance::new(measured.limit, measured.file_system, config.pinned)),
            turn: Arc::default(),
            scrub: Arc::default(),
            folder: folder.clone(),
        };
        room.index.mark_checked(checked);
        room.report_size();
        let store = Self(Arc::new(Inner {
            index: room.index.clone(),
            recent: room.recent.clone(),
            unsynced,
            links: room.links.clone(),
            tags: room.tags.clone(),
            room,
            checks: Arc::new(Checks::none()),
            other_formats: beside.into_iter().filter(|name| layout::is_other_format(name)).collect(),
            no_fills_until: tokio::sync::watch::Sender::new(None),
            folder,
            tenure,
            clock,
            tier: Arc::new(NoTier),
        }));
        store.start_background_jobs(measured.is_tight);
        Ok(store)
    }

    /// Starts the background jobs: the scan at the start, the janitor and the scrub. None of them keeps the folder's
    /// lock after the store is dropped. A file system that `is_tight` is looked at again after the scan.
    fn start_background_jobs(&self, is_tight: bool) {
        let (scanned, index) = (self.0.folder.clone(), self.0.index.clone());
        tokio::task::spawn_blocking(move || {
            recover::scan(&scanned, &index);
            if is_tight {
                index.concern.notify_one();
            }
        });
        let store = Arc::downgrade(&self.0);
        let gone = move || store.strong_count() == 0;
        tokio::spawn(janitor::run(self.0.room.clone(), self.0.tenure.foundings(), gone.clone()));
        tokio::spawn(scrub::run(self.0.room.clone(), gone.clone()));
        tokio::spawn(tenure::keep(self.0.tenure.clone(), gone.clone()));
        tokio::spawn(health::keep(self.0.room.health.clone(), self.0.clock.clone(), gone));
    }
}
