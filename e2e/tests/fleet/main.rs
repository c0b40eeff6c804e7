//! Three relays behind a load balancer behave as one, and what is done to their Redis or to one of them is nothing to
//! a call.

mod served_in_place;
