import System

extension Moment {
    static var now: Moment {
        Moment(
            wall: Double(SystemClocks.realtimeNanoseconds) / 1e9, steady: Double(SystemClocks.bootNanoseconds) / 1e9)
    }
}
