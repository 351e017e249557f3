//! sled's folder as a power cut could leave it. sled does its own file operations, so these are not recorded: copies
//! of its folder at several moments of a run are mixed, cut and torn instead.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::simulated::Dice;

/// What a disk writes as a whole or not at all.
const SECTOR: usize = 512;

/// The files of a folder, by their names in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Image(BTreeMap<PathBuf, Vec<u8>>);

impl Image {
    /// Copy a folder, while it is in use perhaps.
    pub(super) fn of(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(inside) = folders.pop() {
            let Ok(entries) = fs::read_dir(folder.join(&inside)) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = inside.join(entry.file_name());
                if entry.path().is_dir() {
                    folders.push(name);
                } else if let Ok(octets) = fs::read(entry.path()) {
                    files.insert(name, octets);
                }
            }
        }
        Self(files)
    }

    /// The same without these files.
    pub(super) fn without(mut self, names: &[&str]) -> Self {
        self.0
            .retain(|file, _| !names.iter().any(|name| file == Path::new(name)));
        self
    }

    pub(super) fn names(&self) -> Vec<PathBuf> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn file(&mut self, name: &Path) -> &mut Vec<u8> {
        self.0.get_mut(name).unwrap()
    }

    pub(super) fn write(&self, folder: &Path) {
        for (name, octets) in &self.0 {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, octets).unwrap();
        }
    }

    /// What may be left of this folder, if `older` is what it was before. Says also how it was made.
    pub(super) fn torn(&self, older: &Self, dice: &mut Dice) -> (Self, &'static str) {
        let mut torn = self.clone();
        let names: Vec<_> = torn.0.keys().cloned().collect();
        if names.is_empty() {
            return (torn, "missing");
        }
        let any = |dice: &mut Dice| {
            let at = usize::try_from(dice.roll(names.len() as u64)).unwrap();
            names[at].clone()
        };
        let how = match dice.roll(8) {
            0 => "whole",
            1 => {
                torn = Self::default();
                "missing"
            }
            2 => {
                torn = older.clone();
                "as it was before"
            }
            3 => {
                for (name, octets) in &mut torn.0 {
                    let before = older.0.get(name).map_or(&[][..], Vec::as_slice);
                    mix(octets, before, dice);
                }
                "old and new sectors mixed"
            }
            4 => {
                let name = any(dice);
                torn.0.remove(&name);
                "a file missing"
            }
            5 => {
                let octets = torn.0.get_mut(&any(dice)).unwrap();
                octets.truncate(within(octets, dice));
                "a file cut short"
            }
            6 => {
                let octets = torn.0.get_mut(&any(dice)).unwrap();
                let (from, to) = (within(octets, dice), within(octets, dice));
                octets[from.min(to)..from.max(to)].fill(0);
                "a stretch of zeros"
            }
            _ => {
                for _ in 0..=dice.roll(20) {
                    let octets = torn.0.get_mut(&any(dice)).unwrap();
                    let at = within(octets, dice);
                    if let Some(octet) = octets.get_mut(at) {
                        *octet = u8::try_from(dice.roll(256)).unwrap();
                    }
                }
                "octets overwritten"
            }
        };
        (torn, how)
    }
}

fn within(octets: &[u8], dice: &mut Dice) -> usize {
    usize::try_from(dice.roll(octets.len() as u64 + 1)).unwrap()
}

fn mix(octets: &mut [u8], older: &[u8], dice: &mut Dice) {
    for (at, sector) in octets.chunks_mut(SECTOR).enumerate() {
        if dice.roll(2) == 0 {
            continue;
        }
        let before = older.get(at * SECTOR..).unwrap_or(&[]);
        for (place, octet) in sector
            .iter_mut()
            .zip(before.iter().chain(std::iter::repeat(&0)))
        {
            *place = *octet;
        }
    }
}
