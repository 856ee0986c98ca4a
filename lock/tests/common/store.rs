use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use keybutton_lock::store::{MemoryStore, Record, Store, StoreError};

type Inner = MemoryStore<64, 64, 64, 64>;

/// A store that survives the lock, and whose power can be cut at any write.
#[derive(Clone)]
pub struct TestStore {
    inner: Rc<RefCell<Box<Inner>>>,
    cut: Rc<Cell<Option<Cut>>>,
    writes: Rc<Cell<usize>>,
}

/// Power goes at the n-th write from now.
#[derive(Clone, Copy)]
struct Cut {
    left: usize,
    /// Whether that write still gets through.
    written: bool,
    gone: bool,
}

impl TestStore {
    pub fn new() -> Self {
        Self {
            inner: Rc::new(RefCell::new(Box::new(Inner::new()))),
            cut: Rc::new(Cell::new(None)),
            writes: Rc::new(Cell::new(0)),
        }
    }

    /// Cuts the power at the write after `left` more; `written` tells whether that one is still done.
    pub fn cut_after(&self, left: usize, written: bool) {
        self.cut.set(Some(Cut { left, written, gone: false }));
    }

    /// Power is back. Tells whether it was gone.
    pub fn restore(&self) -> bool {
        self.cut.take().is_some_and(|cut| cut.gone)
    }

    pub fn writes(&self) -> usize {
        self.writes.get()
    }

    /// A copy that goes its own way.
    pub fn fork(&self) -> Self {
        let copy = Self::new();
        *copy.inner.borrow_mut() = self.inner.borrow().clone();
        copy
    }

    pub fn value(&self, record: Record) -> Option<Vec<u8>> {
        let mut out = vec![0; record.max_len()];
        let len = self.inner.borrow_mut().read(record, &mut out).unwrap()?;
        out.truncate(len);
        Some(out)
    }

    pub fn overwrite(&self, record: Record, value: &[u8]) {
        self.inner.borrow_mut().write(record, value).unwrap();
    }

    fn change(&self, change: impl FnOnce(&mut Inner) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut cut = self.cut.get();
        let result = match &mut cut {
            Some(cut) if cut.gone => Err(StoreError::Io),
            Some(cut) if cut.left == 0 => {
                cut.gone = true;
                if cut.written {
                    let _ = change(&mut self.inner.borrow_mut());
                }
                Err(StoreError::Io)
            }
            _ => {
                if let Some(cut) = &mut cut {
                    cut.left -= 1;
                }
                self.writes.set(self.writes.get() + 1);
                change(&mut self.inner.borrow_mut())
            }
        };
        self.cut.set(cut);
        result
    }
}

impl Store for TestStore {
    fn read(&mut self, record: Record, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.inner.borrow_mut().read(record, out)
    }

    fn write(&mut self, record: Record, value: &[u8]) -> Result<(), StoreError> {
        self.change(|inner| inner.write(record, value))
    }

    fn erase(&mut self, record: Record) -> Result<(), StoreError> {
        self.change(|inner| inner.erase(record))
    }

    fn audit_slots(&self) -> u32 {
        self.inner.borrow().audit_slots()
    }
}
