import Glibc

extension Moment {
    static var now: Moment { Moment(wall: read(CLOCK_REALTIME), steady: read(CLOCK_BOOTTIME)) }

    private static func read(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
