mod example;
mod reading;
