import Spool
import Stage

/// Where the lines of a spool go. Belongs to the thread of its pump.
protocol SpoolOutlet: AnyObject {
    /// Takes what it can of a stretch, moving the reader on; returns soon, whether it could or not.
    ///
    /// - Returns: whether it took something.
    func take(_ stretch: Stretch, _ reader: SpoolReader) throws(StageError) -> Bool
    /// Notes, now and then while nothing is to be taken, what the reader must know.
    func settle(_ reader: SpoolReader)
    /// Everything has been taken; true: and nothing can be lost any more.
    func finish(_ reader: SpoolReader) throws(StageError) -> Bool
    /// Ends the waiting, from any thread.
    func giveUp()
}

extension SpoolError {
    var stageError: StageError { StageError(exitStatus, message) }
}
