//! What a user sees, one module a subject. One program for all, because each is linked from the whole lab.

#![expect(clippy::indexing_slicing, reason = "a serde_json::Value answers null where there is nothing")]

mod assignment;
mod bad_input;
mod bgp_attributes;
mod bgp_bfd;
mod bgp_configuration;
mod bgp_dynamic;
mod bgp_metrics;
mod bgp_reach;
mod bgp_restart;
mod bgp_selectors;
mod bgp_services;
mod bgp_sessions;
mod bgp_status;
mod bgp_unnumbered;
mod bgp_weights;
mod claims;
mod coexistence;
mod configuration_state;
mod conflicts;
mod cut_off;
mod dual_stack;
mod layer2_interfaces;
mod layer2_moves;
mod layer2_preference;
mod layer2_reach;
mod layer2_selectors;
mod layer2_status;
mod migrate;
mod node_life;
mod operations;
mod service_allocation;
mod service_life;
mod spread;
mod two_labs;
mod walkthrough;
mod webhook;
mod what_if;
