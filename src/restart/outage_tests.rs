use super::*;
use crate::restart::sample;
use crate::restart::unit::StartLimit;

const S: Duration = Duration::from_secs(1);

fn limited(interval: u64, burst: u32, delay: Duration) -> Unit {
    let mut unit = sample::unit();
    unit.start_limit = StartLimit {
        interval: Some(Duration::from_secs(interval)),
        burst,
    };
    unit.service = Some(Service {
        restart_delay: Some(delay),
        ..sample::service()
    });
    unit
}

#[test]
fn the_default_limit_is_hit_within_a_second() {
    let unit = limited(10, 5, S / 10);
    let story = simulate(&unit, Version(257), &Outage::new(S * 1800, S));
    assert_eq!(
        story.ending,
        Ending::LimitHit {
            at: S * 55 / 10,
            starts: 5
        }
    );
    assert_eq!(
        story.times().collect::<Vec<_>>(),
        [0, 11, 22, 33, 44].map(|n| S / 10 * n)
    );
}
