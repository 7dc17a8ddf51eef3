//! The fields of methods and properties (AMQP 0-9-1, section 4.2, with RabbitMQ's types of values).

/// How deep tables and arrays may be nested. Those below become byte arrays, which stand in the
/// same bytes. RabbitMQ's own headers (`x-death`) have three levels.
const DEEPEST: u8 = 32;

/// A name that cannot be read.
const UNREADABLE: u8 = b'?';

/// Mends the payload of a frame in place: names become UTF-8, and nothing is nested too deep. What
/// is malformed otherwise stays, for lapin to refuse.
pub(super) fn mend(is_header: bool, payload: &mut [u8]) {
    let mut fields = Fields(payload);
    let _ = if is_header { fields.header() } else { fields.method() };
}

/// A payload that is read from its beginning to its end. `None` says that it is over too soon.
struct Fields<'a>(&'a mut [u8]);

impl<'a> Fields<'a> {
    /// A content header (section 4.2.6.1).
    fn header(&mut self) -> Option<()> {
        const CLASS_WEIGHT_AND_SIZE: usize = 2 + 2 + 8;
        self.take(CLASS_WEIGHT_AND_SIZE)?;
        let flags = self.short()?;
        for bit in (2..16).rev().filter(|bit| flags & (1 << bit) != 0) {
            match bit {
                13 => self.table(0)?,
                12 | 11 => self.skip(1)?,
                6 => self.skip(8)?,
                _ => self.name()?,
            }
        }
        Some(())
    }

    /// The methods that carry what others have written, or a text that the broker may have cut in
    /// the middle of a character.
    fn method(&mut self) -> Option<()> {
        match (self.short()?, self.short()?) {
            (60, 60) => {
                self.name()?;
                self.skip(8 + 1)?;
                self.names(2)
            }
            (60, 71) => {
                self.skip(8 + 1)?;
                self.names(2)
            }
            (60, 50) => {
                self.skip(2)?;
                self.names(3)
            }
            (10, 50) | (20, 40) => {
                self.skip(2)?;
                self.name()
            }
            _ => None,
        }
    }

    fn names(&mut self, count: u8) -> Option<()> {
        (0..count).try_for_each(|_| self.name())
    }

    /// A short string.
    fn name(&mut self) -> Option<()> {
        let length = self.take(1)?[0];
        make_utf8(self.take(length.into())?);
        Some(())
    }

    fn table(&mut self, depth: u8) -> Option<()> {
        let mut entries = self.block()?;
        while !entries.0.is_empty() {
            entries.name()?;
            entries.value(depth)?;
        }
        Some(())
    }

    fn array(&mut self, depth: u8) -> Option<()> {
        let mut items = self.block()?;
        while !items.0.is_empty() {
            items.value(depth)?;
        }
        Some(())
    }

    fn value(&mut self, depth: u8) -> Option<()> {
        let kind = &mut self.take(1)?[0];
        if matches!(kind, b'F' | b'A') && depth >= DEEPEST {
            *kind = b'x';
        }
        match *kind {
            b'V' => Some(()),
            b't' | b'b' | b'B' => self.skip(1),
            b's' | b'u' | b'U' => self.skip(2),
            b'i' | b'I' | b'f' => self.skip(4),
            b'D' => self.skip(5),
            b'l' | b'L' | b'd' | b'T' => self.skip(8),
            b'S' | b'x' => self.block().map(drop),
            b'F' => self.table(depth + 1),
            b'A' => self.array(depth + 1),
            _ => None,
        }
    }

    /// What stands behind its own length.
    fn block(&mut self) -> Option<Fields<'a>> {
        let length = u32::from_be_bytes(*self.take(4)?.first_chunk()?);
        self.take(usize::try_from(length).ok()?).map(Fields)
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.take(2)?.first_chunk()?))
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(drop)
    }

    fn take(&mut self, length: usize) -> Option<&'a mut [u8]> {
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Overwrites what is not UTF-8.
fn make_utf8(name: &mut [u8]) {
    let mut from = 0;
    while let Err(error) = std::str::from_utf8(&name[from..]) {
        let begin = from + error.valid_up_to();
        from = error.error_len().map_or(name.len(), |length| begin + length);
        name[begin..from].fill(UNREADABLE);
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::{AMQPValue, FieldTable};
    use proptest::prelude::*;

    use super::*;

    /// A content header whose only property is this headers table.
    fn header(table: &[u8]) -> Vec<u8> {
        let length = u32::try_from(table.len()).expect("short").to_be_bytes();
        [&[0, 60][..], &[0; 10], &[0x20, 0], &length, table].concat()
    }

    fn nested(kind: u8, levels: usize) -> Vec<u8> {
        let inner = (0..levels).fold(Vec::new(), |inner, _| {
            let value = if inner.is_empty() { b"t\x01".to_vec() } else { inner };
            let entry = if kind == b'F' { [&[1, b'k'][..], &value].concat() } else { value };
            let length = u32::try_from(entry.len()).expect("short").to_be_bytes();
            [&[kind], &length[..], &entry].concat()
        });
        [b"\x01a", &inner[..]].concat()
    }

    /// How deep a table is nested that lapin has parsed.
    fn depth(value: &AMQPValue) -> usize {
        match value {
            AMQPValue::FieldTable(table) => {
                1 + table.into_iter().map(|(_, value)| depth(value)).max().unwrap_or_default()
            }
            AMQPValue::FieldArray(items) => {
                1 + items.as_slice().iter().map(depth).max().unwrap_or_default()
            }
            _ => 0,
        }
    }

    fn parsed(payload: &[u8]) -> FieldTable {
        const BEFORE: usize = 2 + 2 + 8 + 2;
        let parsed = lapin::types::parsing::parse_field_table(&payload[BEFORE..]);
        let (rest, table) = parsed.expect("lapin reads it");
        assert!(rest.is_empty());
        table
    }

    #[test]
    fn what_is_nested_too_deep_becomes_bytes_and_the_rest_stays() {
        for kind in [b'F', b'A'] {
            for levels in [1, 31, 32, 33, 100, 10_000] {
                let original = header(&nested(kind, levels));
                let mut mended = original.clone();
                mend(true, &mut mended);
                let table = parsed(&mended);
                let value = table.inner().values().next().expect("one value");
                assert_eq!(depth(value), levels.min(DEEPEST.into()), "{levels} levels");
                assert_eq!(mended == original, levels <= DEEPEST.into(), "{levels} levels");
            }
        }
    }

    #[test]
    fn names_become_utf8_and_values_stay_as_they_are() {
        let mut payload = header(b"\x03a\xffbS\0\0\0\x02\xff\xfe\x02\xc3\xbcV");
        mend(true, &mut payload);
        let table = parsed(&payload);
        assert_eq!(table.inner()["a?b"], AMQPValue::LongString(vec![0xff, 0xfe].into()));
        assert_eq!(table.inner()["ü"], AMQPValue::Void);
    }

    #[test]
    fn a_character_that_was_cut_off_is_overwritten() {
        let mut name = *b"\xc3\xa4x\xe2\x82";
        make_utf8(&mut name);
        assert_eq!(&name, b"\xc3\xa4x??");
    }

    proptest! {
        #[test]
        fn no_payload_makes_it_panic(is_header in any::<bool>(), mut payload in any::<Vec<u8>>()) {
            mend(is_header, &mut payload);
        }

        #[test]
        fn no_method_makes_it_panic(
            id in prop::sample::select(vec![[0, 60, 0, 60], [0, 60, 0, 71], [0, 60, 0, 50], [0, 10, 0, 50]]),
            rest in any::<Vec<u8>>(),
        ) {
            mend(false, &mut [&id[..], &rest].concat());
        }

        #[test]
        fn every_name_is_utf8_afterwards(mut name in any::<Vec<u8>>()) {
            make_utf8(&mut name);
            prop_assert!(std::str::from_utf8(&name).is_ok());
        }
    }
}
