//! A node's link to Redis, on a thread of its own, and the fleet's settings.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use edgerelay::cluster::link::{Away, Link, LinkState};
use edgerelay::cluster::tally::Tally;
use edgerelay::config::{Cluster, Files, Issuing, Redis, RedisMode, Secret};
use redis::{Cmd, FromRedisValue};
use testbed::{eventually, eventually_true};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Longer than anything takes on a loaded machine.
pub const SOON: Duration = Duration::from_secs(20);

/// What a script that looks at no argument is called with.
pub const NOTHING: &str = "";

/// The settings of a fleet `edge` whose Redis is at `urls`.
pub fn fleet(urls: &[String]) -> Cluster {
    Cluster {
        fleet: "edge".into(),
        node: "one".into(),
        zone: String::new(),
        redirect: turn::Redirect::Known,
        fleet_key: Secret::new("0123456789abcdef0123456789abcdef"),
        capacity: 1_000,
        redis: Redis {
            mode: RedisMode::Single,
            urls: urls.to_vec(),
            username: String::new(),
            password: None,
            sentinel_password: None,
            ca_file: None,
            identity: None,
        },
        grpc: None,
        https: None,
        issuing: Issuing {
            ttl: Duration::from_secs(3_600),
            max_ttl: Duration::from_secs(3_600),
            urls: Vec::new(),
            per_caller_per_second: 100,
            rotation: Duration::from_secs(3_600),
        },
    }
}

/// A link, kept by a runtime of its own until this goes.
pub struct Linked {
    pub link: Link,
    pub tally: Arc<Tally>,
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Linked {
    pub fn start(config: &Cluster) -> Self {
        let (give, take) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let config = config.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let tally = Arc::new(Tally::default());
                let (link, _keeper) = Link::start(&config, &Files::on_disk(), Arc::clone(&tally)).unwrap();
                give.send((link, tally, Handle::current())).unwrap();
                let _ = ended.await;
            });
        });
        let (link, tally, handle) = take.recv().unwrap();
        Self { link, tally, handle, end: Some(end), thread: Some(thread) }
    }

    /// Waits for something of the link's.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.handle.block_on(future)
    }

    /// Has something go on beside the link.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }

    pub fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Away> {
        self.wait(self.link.query(cmd))
    }

    pub fn state(&self) -> LinkState {
        self.link.state().borrow().clone()
    }

    /// Waits until calls are answered.
    pub fn up(&self) -> LinkState {
        eventually(SOON, "the link to be up", || Some(self.state()).filter(|state| state.up))
    }

    /// Waits until calls are not answered, and the reason has `part` in it.
    pub fn down(&self, part: &str) -> LinkState {
        let found = testbed::within(SOON, || {
            Some(self.state()).filter(|state| !state.up && state.why.contains(part))
        });
        found.unwrap_or_else(|| panic!("{part:?} is not what is told: {:?}", self.state()))
    }

    /// Writes and reads a value, again and again until Redis answers.
    pub fn works(&self) {
        let key = self.link.key("works");
        eventually_true(SOON, "Redis to take a value", || {
            self.query::<()>(redis::cmd("SET").arg(&key).arg(1)).is_ok()
                && self.query::<u8>(redis::cmd("GET").arg(&key)).is_ok_and(|value| value == 1)
        });
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.end.take();
        let _ = self.thread.take().unwrap().join();
    }
}
