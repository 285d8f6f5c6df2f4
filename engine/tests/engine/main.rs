//! What the engine makes of traffic: stories of requests, written in a line each, and who was listed for them. One program, so
//! that the engine is linked once.

mod baseline;
mod blame;
mod declared_routes;
mod discovery;
mod hostile_input;
mod login;
mod memory;
mod probing;
mod route_baseline;
mod steering;
mod steps;
mod support;
mod together;
mod volume;
mod walks;
