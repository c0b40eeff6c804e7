mod again;
mod forged;
mod killed;
mod model;
mod no_room;
mod rewritten;
mod size;
