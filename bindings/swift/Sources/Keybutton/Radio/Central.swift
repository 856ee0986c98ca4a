import Foundation

/// What the radio needs of a Bluetooth central: CoreBluetooth in an app, a fake in tests.
///
/// Every call returns at once. Calls come from one serial queue; what comes of them is told to ``CentralRadio/happened(_:)``.
protocol Central: AnyObject, Sendable {
    /// Whether Bluetooth can be used. May be called from any thread.
    var state: RadioState { get }

    /// Reports every advertisement of the lock service, repeated ones included.
    func startScan()

    func stopScan()

    /// Connects without a time limit. False when the system does not know the peripheral.
    func connect(_ peripheral: PeripheralId) -> Bool

    /// Looks for the lock service.
    func discoverService(_ peripheral: PeripheralId)

    /// Looks for the service's two characteristics.
    func discoverCharacteristics(_ peripheral: PeripheralId)

    /// Switches the lock's notifications on.
    func subscribe(_ peripheral: PeripheralId)

    /// Whether the system has room for one more value.
    func canWrite(_ peripheral: PeripheralId) -> Bool

    /// Writes without response.
    func write(_ value: Data, to peripheral: PeripheralId)

    /// Drops the link or the attempt.
    func cancel(_ peripheral: PeripheralId)
}

/// What a ``Central`` has to tell.
enum CentralEvent {
    /// Bluetooth was switched on or off, or its permission changed.
    case state(RadioState)
    case heard(Advertisement)
    case link(PeripheralId, PeripheralMachine.Event)
    /// There is room for values again.
    case roomToWrite(PeripheralId)
}

/// The lock's GATT profile (docs/PROTOCOL.md section 14).
enum LockProfile {
    static let service = "3B6DD380-75D6-45E2-9355-C17766A66A01"
    static let phoneToLock = "3B6DD381-75D6-45E2-9355-C17766A66A01"
    static let lockToPhone = "3B6DD382-75D6-45E2-9355-C17766A66A01"
}
