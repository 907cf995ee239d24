//! The program itself, against itself and against peers that misbehave.

mod support;

mod serve;

mod connect;
