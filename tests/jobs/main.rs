//! The jobs in `jobs/`, each in its language: run against real servers on loopback and a Slack that checks what it gets.

mod bench;
mod bindings;
mod certificates;
mod command;
mod disk;
mod failing;
mod links;
mod prices;
mod streaming;
mod uptime;
mod web;
mod zone;
