//! Limits on users, on everything together, on answers, on streams and on time.

use std::time::Duration;

use turn::{AnswerLimits, Lifetimes, Quota};

use super::document::{AnswersSection, LifetimesSection, QuotaSection, StreamsSection};
use super::problem::Problems;
use super::value;
use crate::worker::StreamLimits;

pub(super) fn check_quota(problems: &mut Problems, whose: &str, section: &QuotaSection) -> Quota {
    let field = |name: &str| format!("limits.{whose}.{name}");
    Quota {
        allocations: value::limit(problems, &field("allocations"), section.allocations),
        permissions: value::limit(problems, &field("permissions"), section.permissions),
        channels: value::limit(problems, &field("channels"), section.channels),
        bits_per_second: section
            .bits_per_second
            .map(|rate| value::limit(problems, &field("bits_per_second"), rate)),
    }
}

pub(super) fn check_answers(problems: &mut Problems, section: &AnswersSection) -> AnswerLimits {
    let mut limit = |name: &str, bytes| value::limit(problems, &format!("limits.answers.{name}"), bytes);
    AnswerLimits {
        per_source_bytes_per_second: limit(
            "per_source_bytes_per_second",
            section.per_source_bytes_per_second,
        ),
        total_bytes_per_second: limit("total_bytes_per_second", section.total_bytes_per_second),
    }
}

pub(super) fn check_streams(problems: &mut Problems, section: &StreamsSection) -> Option<StreamLimits> {
    let mut deadline = |name: &str, text: &str| {
        value::duration(problems, &format!("limits.streams.{name}"), text, Duration::from_millis(100))
    };
    let handshake_deadline = deadline("handshake_deadline", &section.handshake_deadline);
    let idle_deadline = deadline("idle_deadline", &section.idle_deadline);
    let frame_deadline = deadline("frame_deadline", &section.frame_deadline);
    if section.write_buffer < StreamLimits::LONGEST_FRAME {
        problems.add(
            "limits.streams.write_buffer",
            section.write_buffer,
            "the largest message does not fit",
            format!("Write at least {}", StreamLimits::LONGEST_FRAME),
        );
    }
    if section.buffers < section.write_buffer {
        problems.add(
            "limits.streams.buffers",
            section.buffers,
            "this is for all connections, and less than limits.streams.write_buffer allows for one",
            format!("Write at least {}", section.write_buffer),
        );
    }
    let connections = value::limit(problems, "limits.streams.connections", section.connections);
    let connections_per_source =
        value::limit(problems, "limits.streams.connections_per_source", section.connections_per_source);
    Some(StreamLimits {
        connections,
        connections_per_source,
        handshake_deadline: handshake_deadline?,
        idle_deadline: idle_deadline?,
        frame_deadline: frame_deadline?,
        write_buffer: section.write_buffer,
        buffers: section.buffers,
    })
}

pub(super) fn check_lifetimes(problems: &mut Problems, section: &LifetimesSection) -> Option<Lifetimes> {
    let second = Duration::from_secs(1);
    let default = value::duration(problems, "lifetimes.default", &section.default, second);
    let max = value::duration(problems, "lifetimes.max", &section.max, second);
    let (default, max) = (default?, max?);
    if default > max {
        problems.add(
            "lifetimes.default",
            &section.default,
            format!("this is more than lifetimes.max, which is \"{}\"", section.max),
            "Make it at most as long",
        );
    }
    Some(Lifetimes { default: seconds(default), max: seconds(max) })
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
