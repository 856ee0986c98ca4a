//! Random identifiers and secrets.

use ring::rand::{SecureRandom, SystemRandom};

use crate::problem::{Code, Problem};

/// The alphabet of what people type: no 0/O, 1/I/L, U.
const TYPED: &[u8; 32] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ*+";

/// Fills an array with random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Problem::new(Code::Internal).with_detail("the random source failed"))?;
    Ok(bytes)
}

/// Makes an opaque identifier: `prefix_` and 20 hex digits.
pub(crate) fn id(prefix: &str) -> Result<String, Problem> {
    Ok(format!("{prefix}_{}", hex(&bytes::<10>()?)))
}

/// Makes a secret of `N` random bytes in hex.
pub(crate) fn secret<const N: usize>() -> Result<String, Problem> {
    Ok(hex(&bytes::<N>()?))
}

/// Makes a claim code: four groups of four, 78 bits, to be typed by a person.
pub(crate) fn claim_code() -> Result<String, Problem> {
    let mut groups = Vec::with_capacity(4);
    while groups.len() < 4 {
        let mut group = String::with_capacity(4);
        while group.len() < 4 {
            let [byte] = bytes::<1>()?;
            // The last two only fill the table: drawing again keeps the 30 others equally likely.
            match TYPED.get(usize::from(byte % 32)) {
                Some(c) if c.is_ascii_alphanumeric() => group.push(char::from(*c)),
                _ => {}
            }
        }
        groups.push(group);
    }
    Ok(groups.join("-"))
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_their_kind() {
        let id = id("mem").unwrap();
        assert!(id.starts_with("mem_") && id.len() == 24, "{id}");
    }

    #[test]
    fn claim_codes_are_four_groups_of_typable_characters() {
        let code = claim_code().unwrap();
        assert_eq!(code.len(), 19);
        assert!(code.split('-').all(|group| group.len() == 4 && group.chars().all(|c| c.is_ascii_alphanumeric())));
        assert_ne!(code, claim_code().unwrap());
    }

    #[test]
    fn hex_is_lower_case() {
        assert_eq!(hex(&[0x0F, 0xA0]), "0fa0");
    }
}
