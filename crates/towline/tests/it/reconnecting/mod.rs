//! Connections that come back, against servers that die in each phase. Time is virtual, and the servers
//! are in memory unless the phase is that of dialling.

mod control;
mod peer;
mod phases;
mod policy;
mod unsent;
