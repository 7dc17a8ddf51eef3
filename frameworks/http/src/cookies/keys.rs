//! Signing and encrypting.

use std::fmt;

use data_encoding::BASE64URL_NOPAD as BASE64;
use polyport_bootstrap::config::Secret;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    hmac,
    rand::{SecureRandom, SystemRandom},
};

/// The keys of signed and private cookies: the first is for new ones, all are for those that come.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Key>);

/// What one secret of the configuration becomes: a key for each purpose (RFC 5869), so that no
/// message of one is ever one of the other.
struct Key {
    signing: hmac::Key,
    encryption: LessSafeKey,
}

const SALT: &[u8] = b"polyport cookies";
const SIGNING: &[u8] = b"signed";
const ENCRYPTION: &[u8] = b"private";

impl Key {
    fn new(secret: &str) -> Option<Self> {
        let derived = Salt::new(HKDF_SHA256, SALT).extract(secret.as_bytes());
        let encryption = UnboundKey::from(derived.expand(&[ENCRYPTION], &AES_256_GCM).ok()?);
        let signing = derived.expand(&[SIGNING], hmac::HMAC_SHA256).ok()?;
        Some(Self { signing: signing.into(), encryption: LessSafeKey::new(encryption) })
    }

    fn is_signature(&self, name: &str, value: &str, signature: &[u8]) -> bool {
        hmac::verify(&self.signing, signed_text(name, value).as_bytes(), signature).is_ok()
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Option<String> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = sealed.to_vec();
        let (nonce, name) = (Nonce::assume_unique_for_key(*nonce), Aad::from(name.as_bytes()));
        let open = self.encryption.open_in_place(nonce, name, &mut bytes).ok()?;
        String::from_utf8(open.to_vec()).ok()
    }
}

impl Keys {
    pub(super) fn new(secrets: &[Secret<String>]) -> Self {
        Self(secrets.iter().filter_map(|secret| Key::new(secret.expose())).collect())
    }

    /// The value with its signature; none where there is no key.
    pub(super) fn sign(&self, name: &str, value: &str) -> Option<String> {
        let key = self.0.first()?;
        let signature = hmac::sign(&key.signing, signed_text(name, value).as_bytes());
        Some(format!("{value}.{}", BASE64.encode(signature.as_ref())))
    }

    /// The value without its signature, where that is ours.
    pub(super) fn verified<'v>(&self, name: &str, signed: &'v str) -> Option<&'v str> {
        let (value, signature) = signed.rsplit_once('.')?;
        let signature = BASE64.decode(signature.as_bytes()).ok()?;
        self.0.iter().any(|key| key.is_signature(name, value, &signature)).then_some(value)
    }

    /// The value encrypted; none where there is no key.
    pub(super) fn seal(&self, name: &str, value: &str) -> Option<String> {
        let key = self.0.first()?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut bytes = value.as_bytes().to_vec();
        let (unique, name) = (Nonce::assume_unique_for_key(nonce), Aad::from(name.as_bytes()));
        key.encryption.seal_in_place_append_tag(unique, name, &mut bytes).ok()?;
        Some(BASE64.encode(&[&nonce[..], &bytes].concat()))
    }

    /// The value decrypted, where we have encrypted it.
    pub(super) fn opened(&self, name: &str, sealed: &str) -> Option<String> {
        let sealed = BASE64.decode(sealed.as_bytes()).ok()?;
        self.0.iter().find_map(|key| key.open(name, &sealed))
    }
}

/// The name belongs to what is signed: the value of one cookie is none of another's. No name has an
/// equals sign in it.
fn signed_text(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(secrets: &[&str]) -> Keys {
        Keys::new(&secrets.iter().map(|&secret| Secret::from(secret)).collect::<Vec<_>>())
    }

    #[test]
    fn a_new_key_signs_and_an_old_one_is_still_read() {
        let (old, both, new) = (keys(&["old"]), keys(&["new", "old"]), keys(&["new"]));
        let signed = old.sign("a", "1").expect("a key");
        assert_eq!(both.verified("a", &signed), Some("1"));
        assert_eq!(new.verified("a", &signed), None);
        assert_eq!(new.verified("a", &both.sign("a", "1").expect("a key")), Some("1"));
        let sealed = old.seal("a", "1").expect("a key");
        assert_eq!(both.opened("a", &sealed).as_deref(), Some("1"));
        assert_eq!(new.opened("a", &sealed), None);
        assert_eq!((keys(&[]).sign("a", "1"), keys(&[]).seal("a", "1")), (None, None));
    }

    #[test]
    fn what_is_private_shows_nothing_and_is_never_the_same_twice() {
        let keys = keys(&["key"]);
        let (one, other) = (keys.seal("a", "tom").expect("a key"), keys.seal("a", "tom"));
        assert_ne!(Some(&one), other.as_ref());
        assert!(!one.contains("tom"));
        assert_eq!(keys.opened("b", &one), None, "it is another cookie's");
        assert_eq!(keys.verified("a", &one), None, "it is no signed one");
    }

    proptest! {
        #[test]
        fn only_what_was_written_is_read(value in "[a-z0-9.=]{0,20}", at: usize, byte: u8) {
            let keys = keys(&["key"]);
            for text in [keys.sign("a", &value), keys.seal("a", &value)] {
                let text = text.expect("a key");
                prop_assert!(keys.verified("b", &text).is_none());
                let mut changed = text.clone().into_bytes();
                let at = at % changed.len();
                changed[at] = byte;
                let Ok(changed) = String::from_utf8(changed) else { continue };
                if changed != text {
                    prop_assert_eq!(keys.verified("a", &changed), None);
                    prop_assert_eq!(keys.opened("a", &changed), None);
                }
            }
            let (signed, sealed) = (keys.sign("a", &value), keys.seal("a", &value));
            let (signed, sealed) = (signed.expect("a key"), sealed.expect("a key"));
            prop_assert_eq!(keys.verified("a", &signed), Some(&*value));
            prop_assert_eq!(keys.opened("a", &sealed), Some(value));
        }

        #[test]
        fn no_value_makes_the_reader_panic(value: String) {
            let keys = keys(&["key"]);
            prop_assert!(keys.verified("a", &value).is_none() && keys.opened("a", &value).is_none());
        }
    }
}
