//! A list of few small values, kept in place.

use core::{fmt, ops::Deref};

/// At most `N` values, without a heap.
#[derive(Clone, Copy)]
pub struct List<T, const N: usize> {
    len: usize,
    values: [T; N],
}

impl<T: Copy + Default, const N: usize> List<T, N> {
    /// Makes an empty list.
    pub fn new() -> Self {
        Self { len: 0, values: [T::default(); N] }
    }

    /// Copies a slice; `None` when there are more than `N`.
    pub fn from_slice(values: &[T]) -> Option<Self> {
        let mut list = Self::new();
        list.values.get_mut(..values.len())?.copy_from_slice(values);
        list.len = values.len();
        Some(list)
    }

    /// Appends a value; tells whether there was room.
    #[must_use]
    pub fn push(&mut self, value: T) -> bool {
        match self.values.get_mut(self.len) {
            Some(slot) => {
                *slot = value;
                self.len += 1;
                true
            }
            None => false,
        }
    }
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.values.get(..self.len).unwrap_or_default()
    }
}

impl<T: PartialEq, const N: usize> PartialEq for List<T, N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq, const N: usize> Eq for List<T, N> {}

impl<T: fmt::Debug, const N: usize> fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
