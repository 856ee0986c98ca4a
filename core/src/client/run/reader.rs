//! A lock's reader and the press that answers it.

use std::sync::{Arc, atomic::Ordering};

use super::{
    super::tap::{Question, Reader},
    Runner,
};
use crate::unlock::Input;

impl Runner {
    pub(super) fn asked_by_reader(&mut self, question: Question) {
        // A reader that begins anew has given up the transaction, whether or not anybody saw the field go.
        if question.opens()
            && let Some(former) = self.reader.clone()
        {
            self.field_lost(&former);
        }
        self.reader = question.reader().cloned();
        self.at_reader(true);
        let apdu = question.apdu.clone();
        // A reader that asks before it was answered hears "not now" to what it asked before.
        self.question = Some(question);
        self.feed(Input::Apdu(apdu));
    }

    pub(super) fn answer_reader(&mut self, response: Vec<u8>) {
        match self.question.take() {
            Some(question) => question.answer(response),
            None => self.inner.log.debug("press", format_args!("the reader is gone")),
        }
    }

    pub(super) fn field_lost(&mut self, reader: &Arc<Reader>) {
        if self.reader.take_if(|current| Arc::ptr_eq(current, reader)).is_none() {
            return;
        }
        if let Some(question) = self.question.take() {
            question.forget();
        }
        self.at_reader(false);
        self.feed(Input::FieldLost);
    }

    /// From here on every reader hears "not now", at once.
    pub(super) fn stop_answering(&mut self) {
        self.question = None;
        self.orders.close();
        while self.orders.try_recv().is_ok() {}
    }

    fn at_reader(&self, there: bool) {
        if let Some(at_reader) = &self.course.at_reader {
            at_reader.store(there, Ordering::Release);
        }
    }
}
