//! Three relays behind a load balancer behave as one, and what is done to their Redis or to one of them is nothing to
//! a call.

mod chromium_peers;
mod coturn_client;
mod crash_without_redis;
mod dead_node;
mod drained_node;
mod first_contact;
mod known_followers;
mod libdatachannel_peers;
mod poisoned_redis;
mod redis_trouble;
mod scene;
mod served_in_place;
mod thousand_clients;
