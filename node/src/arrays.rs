//! Arrays of JavaScript's as arguments of functions. Behind these names, because the macro of napi
//! takes a `&mut` that it sees for a reference to a class.

pub(crate) type Bytes<'a> = &'a [u8];

pub(crate) type BytesMut<'a> = &'a mut [u8];

pub(crate) type Words<'a> = &'a [u32];

pub(crate) type WordsMut<'a> = &'a mut [u32];
