//! WebSocket frames with their metadata: the decoder does not panic, and what it reads can be
//! written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use polyport_wire::{Frame, begin_frame_with, end_frame};

#[path = "../../bootstrap/wire/src/frame/harmless.rs"]
mod harmless;

fuzz_target!(|text: &str| harmless::check(text));
