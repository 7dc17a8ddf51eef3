//! `message = "no room {name}"`.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Error, Index, LitStr, Member, Result};

use super::shape::Field;

/// A format string over the fields of a variant or struct.
pub(super) struct Message {
    pub(super) literal: LitStr,
    pieces: Vec<Piece>,
}

enum Piece {
    Text(String),
    /// A field, and how it is written (`:?`).
    Field(Member, String),
}

impl Message {
    pub(super) fn parse(literal: LitStr) -> Result<Self> {
        let text = literal.value();
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut rest = text.as_str();
        while let Some(place) = rest.find(['{', '}']) {
            plain.push_str(&rest[..place]);
            let brace = &rest[place..=place];
            rest = &rest[place + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let Some((inside, after)) = rest.split_once('}').filter(|_| brace == "{") else {
                let message = "write `{{` and `}}` for braces that are no field's";
                return Err(Error::new(literal.span(), message));
            };
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(placeholder(&literal, inside)?);
            rest = after;
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Self { literal, pieces })
    }

    /// Refuses the name of a field that there is not.
    pub(super) fn check(&self, fields: &[Field]) -> Result<()> {
        for member in self.members() {
            if !fields.iter().any(|field| field.member == *member) {
                let message = format!("there is no field `{}`", quote!(#member));
                return Err(Error::new(self.literal.span(), message));
            }
        }
        Ok(())
    }

    /// The fields that it names.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Field(member, _) => Some(member),
            Piece::Text(_) => None,
        })
    }

    /// The text, where it names no field.
    pub(super) fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// What `format!` and `write!` take, where the fields are bound as [`binding`] names them.
    pub(super) fn format(&self) -> TokenStream {
        let (mut text, mut arguments) = (String::new(), Vec::new());
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text += &plain.replace('{', "{{").replace('}', "}}"),
                Piece::Field(member, format) => {
                    text += &format!("{{{format}}}");
                    let binding = binding(member);
                    arguments.push(quote!(#binding));
                }
            }
        }
        let text = LitStr::new(&text, self.literal.span());
        quote!(#text #(, #arguments)*)
    }
}

/// The variable that holds a field.
pub(super) fn binding(member: &Member) -> Ident {
    match member {
        Member::Named(name) => format_ident!("__field_{}", name),
        Member::Unnamed(index) => format_ident!("__field_{}", index.index),
    }
}

fn placeholder(literal: &LitStr, inside: &str) -> Result<Piece> {
    let (name, format) = match inside.find(':') {
        Some(place) => inside.split_at(place),
        None => (inside, ""),
    };
    let refused = |message: &str| Error::new(literal.span(), message);
    if format.contains(['$', '{']) || format.contains(".*") {
        return Err(refused("a width or precision is a number here"));
    }
    let name = name.trim();
    if let Ok(index) = name.parse::<u32>() {
        let member = Member::Unnamed(Index { index, span: literal.span() });
        return Ok(Piece::Field(member, format.to_owned()));
    }
    let name: Ident = LitStr::new(name, literal.span())
        .parse_with(syn::ext::IdentExt::parse_any)
        .map_err(|_| refused("name the field: `{0}`, or `{name}`"))?;
    Ok(Piece::Field(Member::Named(name), format.to_owned()))
}
