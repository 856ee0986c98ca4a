//! TLVs for tests: written and found on the heap.

use keybutton_protocol::{buf::Writer, tlv};

/// One element.
pub fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut out = vec![0; value.len() + 5];
    let mut writer = Writer::new(&mut out);
    tlv::put(&mut writer, tag, value).expect("there is room");
    let len = writer.len();
    out.truncate(len);
    out
}

/// The value of the first element with this tag.
pub fn find(bytes: &[u8], tag: u16) -> Option<Vec<u8>> {
    tlv::Tlvs::new(bytes).map_while(Result::ok).find(|found| found.tag == tag).map(|found| found.value.to_vec())
}

/// Where the value of the first element with this tag stands.
pub fn position(bytes: &[u8], tag: u16) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    for found in tlv::Tlvs::new(bytes).map_while(Result::ok) {
        at += found.raw.len();
        if found.tag == tag {
            return Some(at - found.value.len()..at);
        }
    }
    None
}
