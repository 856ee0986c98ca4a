//! One link to a phone.

use core::marker::PhantomData;

use keybutton_protocol::crypto::Crypto;

/// A link's transport and session.
pub(crate) struct Link<C: Crypto> {
    crypto: PhantomData<fn() -> C>,
}

impl<C: Crypto> Link<C> {
    pub(crate) const fn new() -> Self {
        Self { crypto: PhantomData }
    }
}
