//! A hash map that grows and shrinks in small steps.
//!
//! Owns a number of std's maps, each with its part of the keys. A map that has to grow hashes all its keys again, at some
//! 200 ns for a name. With 1,000,000 names in one map, a turn would take 0.2 s; with shards it takes one shard's part of that.
//! Shards differ in size by a few keys, so they do not grow at the same time. A shard that is mostly empty shrinks, to twice
//! of what it has: then it takes as many more keys again until it grows.
//!
//! Invariant: a key is in the shard that its hash names.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

/// A shard shrinks when it had this many times its keys: with 1,000,000 names before, in 256 shards, that takes
/// 0.2 ms.
const SHRINK_AT: usize = 8;

/// A shard that never had more keys than this stays as it is.
const KEPT_MIN: usize = 64;

/// A hash map in shards.
#[derive(Debug)]
pub struct ShardMap<K, V, S = RandomState> {
    hasher: S,
    shards: Vec<Shard<K, V, S>>,
    len: usize,
}

#[derive(Debug)]
struct Shard<K, V, S> {
    map: HashMap<K, V, S>,
    /// The most keys since it shrank. (The map's own `capacity` falls with each removal, and its memory does not.)
    most: usize,
}

impl<K: Eq + Hash, V, S: BuildHasher + Clone + Default> ShardMap<K, V, S> {
    /// An empty map of `shards` parts, at least one.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let hasher = S::default();
        let shards = (0..shards.max(1)).map(|_| Shard { map: HashMap::with_hasher(hasher.clone()), most: 0 }).collect();
        Self { hasher, shards, len: 0 }
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.shards.get(self.shard_of(key))?.map.get(key)
    }

    /// The value of a key, to change.
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let shard = self.shard_of(key);
        self.shards.get_mut(shard)?.map.get_mut(key)
    }

    /// Sets the value of a key; returns the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let shard = self.shard_of(&key);
        let shard = self.shards.get_mut(shard)?;
        let before = shard.map.insert(key, value);
        shard.most = shard.most.max(shard.map.len());
        self.len += usize::from(before.is_none());
        before
    }

    /// Takes a key out; returns the value that it had.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let shard = self.shard_of(key);
        let shard = self.shards.get_mut(shard)?;
        let before = shard.map.remove(key)?;
        self.len -= 1;
        if shard.most > KEPT_MIN.max(shard.map.len() * SHRINK_AT) {
            shard.most = shard.map.len() * 2;
            shard.map.shrink_to(shard.most);
        }
        Some(before)
    }

    /// All keys and values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| &shard.map)
    }

    /// By other bits of the hash than the shard itself goes by: its lowest for the place, its highest for a tag.
    fn shard_of<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        let middle = self.hasher.hash_one(key) >> 32 & 0xffff;
        usize::try_from(middle).unwrap_or(0) % self.shards.len()
    }
}

/// Hashes keys of our own tables. No stranger chooses them, so they have to be spread, and no more.
#[derive(Debug, Default)]
pub struct KeyHasher(u64);

/// Makes [`KeyHasher`]s.
pub type BuildKeyHasher = BuildHasherDefault<KeyHasher>;

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(byte.into());
        }
    }

    fn write_u32(&mut self, key: u32) {
        // Knuth's multiplicative hashing: 2^64 over the golden ratio.
        self.0 = (self.0 ^ u64::from(key)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn behaves_as_one_map<S: BuildHasher + Clone + Default>(shards: usize) {
        let (mut map, mut twin) = (ShardMap::<u32, u32, S>::new(shards), HashMap::new());
        for step in 0..20_000_u32 {
            let key = step.wrapping_mul(2_654_435_761) % 3_000;
            match step % 3 {
                0 => assert_eq!(map.remove(&key), twin.remove(&key)),
                1 => assert_eq!(map.insert(key, step), twin.insert(key, step)),
                _ => assert_eq!(map.get_mut(&key), twin.get_mut(&key)),
            }
            assert_eq!((map.len(), map.is_empty()), (twin.len(), twin.is_empty()));
            assert_eq!(map.get(&step), twin.get(&step));
        }
        assert!(map.len() > 500);
        assert_eq!(map.iter().map(|(&key, &value)| (key, value)).collect::<HashMap<_, _>>(), twin);
    }

    #[test]
    fn it_behaves_as_one_map() {
        behaves_as_one_map::<RandomState>(1);
        behaves_as_one_map::<RandomState>(64);
        behaves_as_one_map::<BuildKeyHasher>(16);
    }

    #[test]
    fn shards_shrink_when_they_are_mostly_empty() {
        let mut map = ShardMap::<u32, u32>::new(4);
        let most = |map: &ShardMap<u32, u32>| map.shards.iter().map(|shard| shard.most).sum::<usize>();
        for key in 0..8_000 {
            map.insert(key, key);
        }
        assert_eq!(most(&map), 8_000);
        let mut steps = 0;
        for key in 0..8_000 {
            let before = most(&map);
            map.remove(&key);
            steps += usize::from(most(&map) < before);
            assert!(most(&map) <= map.len() * SHRINK_AT + 4 * KEPT_MIN, "{} for {}", most(&map), map.len());
        }
        assert!((4..=16).contains(&steps), "each shard shrinks a few times, {steps} in all");
        let capacity: usize = map.shards.iter().map(|shard| shard.map.capacity()).sum();
        assert!(capacity <= 4 * 2 * KEPT_MIN, "{capacity}");
    }

    #[test]
    fn shards_have_about_as_much_each() {
        for stride in [1, 2, 16, 1000] {
            let mut map = ShardMap::<u32, u32, BuildKeyHasher>::new(16);
            for key in 0..16_000 {
                map.insert(key * stride, key);
            }
            let sizes: Vec<usize> = map.shards.iter().map(|shard| shard.map.len()).collect();
            assert!(sizes.iter().all(|size| (500..2000).contains(size)), "{stride}: {sizes:?}");
        }
    }
}
