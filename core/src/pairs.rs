//! A map of a few: a list that is searched from its begin.
//!
//! A member holds keys of a handful of sites and of some hundred locks at most, and each kind of balanced tree would cost
//! an app five kilobytes.

/// Values by key, in the order in which their keys came.
#[derive(Debug)]
pub(crate) struct Pairs<K, V>(Vec<(K, V)>);

impl<K: PartialEq, V> Pairs<K, V> {
    /// Makes an empty map.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.iter().find_map(|(held, value)| (held == key).then_some(value))
    }

    /// The value of `key`, to be changed.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.iter_mut().find_map(|(held, value)| (held == key).then_some(value))
    }

    /// Sets the value of `key`; returns the one before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(held) = self.get_mut(&key) {
            return Some(std::mem::replace(held, value));
        }
        self.0.push((key, value));
        None
    }

    /// The value of `key`, made if there is none.
    pub(crate) fn get_or_insert(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        let at = self.0.iter().position(|(held, _)| held == key).unwrap_or_else(|| {
            self.0.push((key.clone(), make()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// Takes `key` out.
    pub(crate) fn remove(&mut self, key: &K) {
        self.retain(|held, _| held != key);
    }

    /// Takes out whatever `keep` denies.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Keys and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Keys and values, the values to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// The values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }
}

impl<K: PartialEq, V> Default for Pairs<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: PartialEq, V> FromIterator<(K, V)> for Pairs<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut map = Self::new();
        for (key, value) in pairs {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_tree_holds(changes: Vec<(u8, Option<u16>)>, kept: u8) {
            let (mut pairs, mut tree) = (Pairs::new(), BTreeMap::new());
            for (key, value) in changes {
                match value {
                    Some(value) => prop_assert_eq!(pairs.insert(key, value), tree.insert(key, value)),
                    None => {
                        pairs.remove(&key);
                        tree.remove(&key);
                    }
                }
                prop_assert_eq!(pairs.get(&key), tree.get(&key));
                let made = u16::from(key);
                prop_assert_eq!(pairs.get_or_insert(&key, || made), tree.entry(key).or_insert(made));
                prop_assert_eq!(pairs.len(), tree.len());
            }
            pairs.retain(|key, _| *key < kept);
            tree.retain(|key, _| *key < kept);
            prop_assert_eq!(pairs.iter().collect::<BTreeMap<_, _>>(), tree.iter().collect::<BTreeMap<_, _>>());
        }
    }
}
