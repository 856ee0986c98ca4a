#if canImport(CoreBluetooth)
import CoreBluetooth
import Foundation

/// The radio of Apple's systems, over CoreBluetooth.
///
/// The app's Info.plist needs `NSBluetoothAlwaysUsageDescription`; the system asks the member at the first press. With
/// the background mode `bluetooth-central` a press that has begun goes on when the app leaves the screen: scans name the
/// lock service, which is the only scan that iOS lets run there.
public final class CoreBluetoothRadio: Radio {
    private let radio: CentralRadio
    private let central: CoreBluetoothCentral

    /// - Parameter restorationIdentifier: the same at every start of the app. The system keeps links under it when it
    ///   ends the app in the background; what it hands back belongs to presses that are over, and is closed.
    public init(restorationIdentifier: String = "io.github.keybutton.central") {
        let queue = DispatchQueue(label: "io.github.keybutton.radio")
        central = CoreBluetoothCentral(queue: queue, restorationIdentifier: restorationIdentifier)
        radio = CentralRadio(central: central, queue: queue)
        central.start(telling: radio)
    }

    public func state() -> RadioState { radio.state() }
    public func startScan(events: RadioEvents) throws { try radio.startScan(events: events) }
    public func stopScan() { radio.stopScan() }
    public func disconnect(peripheral: PeripheralId) { radio.disconnect(peripheral: peripheral) }

    public func connect(peripheral: PeripheralId, events: RadioEvents) throws {
        try radio.connect(peripheral: peripheral, events: events)
    }

    public func write(peripheral: PeripheralId, value: Data) throws {
        try radio.write(peripheral: peripheral, value: value)
    }
}

/// Says in CoreBluetooth's words what ``CentralRadio`` wants, and the other way round. Decides nothing.
///
/// All of it but `state` runs on the queue that CoreBluetooth was given.
private final class CoreBluetoothCentral: NSObject, Central, @unchecked Sendable {
    private static let service = CBUUID(string: LockProfile.service)
    private static let phoneToLock = CBUUID(string: LockProfile.phoneToLock)
    private static let lockToPhone = CBUUID(string: LockProfile.lockToPhone)

    private let queue: DispatchQueue
    private let restorationIdentifier: String
    private weak var radio: CentralRadio?
    private var manager: CBCentralManager?
    private var wantsScan = false
    /// Those with a link or an attempt; CoreBluetooth forgets the others by itself.
    private var peripherals: [PeripheralId: CBPeripheral] = [:]
    /// Links of an earlier run of the app; they can be closed once Bluetooth is ready.
    private var restored: [CBPeripheral] = []
    private let shownState = Locked(RadioState.on)

    init(queue: DispatchQueue, restorationIdentifier: String) {
        self.queue = queue
        self.restorationIdentifier = restorationIdentifier
    }

    /// Makes the manager, unless that would ask the member for a permission before anything was pressed.
    func start(telling radio: CentralRadio) {
        queue.sync {
            self.radio = radio
            if CBManager.authorization == .allowedAlways { _ = madeManager() }
        }
    }

    private func madeManager() -> CBCentralManager {
        if let manager { return manager }
        #if os(iOS)
        let options: [String: Any] = [CBCentralManagerOptionRestoreIdentifierKey: restorationIdentifier]
        #else
        let options: [String: Any] = [:]
        #endif
        let made = CBCentralManager(delegate: self, queue: queue, options: options)
        manager = made
        return made
    }

    // MARK: Central

    var state: RadioState {
        switch CBManager.authorization {
        case .denied, .restricted: .unauthorized
        default: shownState.with { $0 }
        }
    }

    func startScan() {
        wantsScan = true
        let manager = madeManager()
        guard manager.state == .poweredOn else { return }
        manager.scanForPeripherals(
            withServices: [Self.service], options: [CBCentralManagerScanOptionAllowDuplicatesKey: true])
    }

    func stopScan() {
        wantsScan = false
        if let manager, manager.state == .poweredOn { manager.stopScan() }
    }

    func connect(_ id: PeripheralId) -> Bool {
        let manager = madeManager()
        guard
            let uuid = UUID(uuidString: id),
            let peripheral = manager.retrievePeripherals(withIdentifiers: [uuid]).first
        else { return false }
        peripheral.delegate = self
        peripherals[id] = peripheral
        manager.connect(peripheral, options: nil)
        return true
    }

    func discoverService(_ id: PeripheralId) {
        peripherals[id]?.discoverServices([Self.service])
    }

    func discoverCharacteristics(_ id: PeripheralId) {
        guard let peripheral = peripherals[id], let service = peripheral.lockService else { return }
        peripheral.discoverCharacteristics([Self.phoneToLock, Self.lockToPhone], for: service)
    }

    func subscribe(_ id: PeripheralId) {
        guard let peripheral = peripherals[id], let values = peripheral.characteristic(Self.lockToPhone) else { return }
        peripheral.setNotifyValue(true, for: values)
    }

    func canWrite(_ id: PeripheralId) -> Bool {
        peripherals[id]?.canSendWriteWithoutResponse ?? false
    }

    func write(_ value: Data, to id: PeripheralId) {
        guard let peripheral = peripherals[id], let target = peripheral.characteristic(Self.phoneToLock) else { return }
        peripheral.writeValue(value, for: target, type: .withoutResponse)
    }

    func cancel(_ id: PeripheralId) {
        guard let manager, let peripheral = peripherals[id] else { return }
        manager.cancelPeripheralConnection(peripheral)
    }

    private func tell(_ peripheral: CBPeripheral, _ event: PeripheralMachine.Event) {
        radio?.happened(.link(peripheral.identifier.uuidString, event))
    }
}

extension CoreBluetoothCentral: CBCentralManagerDelegate {
    func centralManagerDidUpdateState(_ central: CBCentralManager) {
        let new: RadioState =
            switch central.state {
            case .poweredOff, .resetting: .off
            case .unauthorized: .unauthorized
            case .unsupported: .absent
            // Not known yet: a scan that is wanted begins when Bluetooth is there.
            default: .on
            }
        shownState.with { $0 = new }
        switch central.state {
        case .poweredOn:
            restored.forEach { central.cancelPeripheralConnection($0) }
            restored = []
            if wantsScan { startScan() }
        case .unknown:
            return
        default:
            // CoreBluetooth has let go of all of them without a word.
            peripherals = [:]
            wantsScan = false
        }
        radio?.happened(.state(new))
    }

    func centralManager(_ central: CBCentralManager, willRestoreState state: [String: Any]) {
        restored = state[CBCentralManagerRestoredStatePeripheralsKey] as? [CBPeripheral] ?? []
    }

    func centralManager(
        _ central: CBCentralManager, didDiscover peripheral: CBPeripheral, advertisementData data: [String: Any],
        rssi: NSNumber
    ) {
        let services = data[CBAdvertisementDataServiceDataKey] as? [CBUUID: Data]
        let txPower = data[CBAdvertisementDataTxPowerLevelKey] as? NSNumber
        // 127 stands for a strength that could not be measured.
        let strength = rssi.intValue == 127 ? nil : Int8(exactly: rssi.intValue)
        let advertisement = Advertisement(
            peripheral: peripheral.identifier.uuidString,
            rssi: strength ?? -127,
            txPower: txPower.flatMap { Int8(exactly: $0.intValue) },
            serviceData: services?[Self.service] ?? Data()
        )
        radio?.happened(.heard(advertisement))
    }

    func centralManager(_ central: CBCentralManager, didConnect peripheral: CBPeripheral) {
        tell(peripheral, .connected)
    }

    func centralManager(
        _ central: CBCentralManager, didFailToConnect peripheral: CBPeripheral, error: (any Error)?
    ) {
        peripherals[peripheral.identifier.uuidString] = nil
        tell(peripheral, .connectFailed)
    }

    func centralManager(
        _ central: CBCentralManager, didDisconnectPeripheral peripheral: CBPeripheral, error: (any Error)?
    ) {
        peripherals[peripheral.identifier.uuidString] = nil
        tell(peripheral, .disconnected)
    }
}

extension CoreBluetoothCentral: CBPeripheralDelegate {
    func peripheral(_ peripheral: CBPeripheral, didDiscoverServices error: (any Error)?) {
        tell(peripheral, .service(found: error == nil ? peripheral.lockService != nil : nil))
    }

    func peripheral(
        _ peripheral: CBPeripheral, didDiscoverCharacteristicsFor service: CBService, error: (any Error)?
    ) {
        guard service.uuid == Self.service else { return }
        let both = peripheral.characteristic(Self.phoneToLock) != nil && peripheral.characteristic(Self.lockToPhone) != nil
        tell(peripheral, .characteristics(found: error == nil ? both : nil))
    }

    func peripheral(
        _ peripheral: CBPeripheral, didUpdateNotificationStateFor characteristic: CBCharacteristic,
        error: (any Error)?
    ) {
        guard characteristic.uuid == Self.lockToPhone else { return }
        let mtu = peripheral.maximumWriteValueLength(for: .withoutResponse) + 3
        tell(peripheral, .subscribed(error == nil && characteristic.isNotifying, mtu: UInt16(clamping: mtu)))
    }

    func peripheral(
        _ peripheral: CBPeripheral, didUpdateValueFor characteristic: CBCharacteristic, error: (any Error)?
    ) {
        guard error == nil, characteristic.uuid == Self.lockToPhone, let value = characteristic.value else { return }
        tell(peripheral, .value(value))
    }

    func peripheralIsReady(toSendWriteWithoutResponse peripheral: CBPeripheral) {
        radio?.happened(.roomToWrite(peripheral.identifier.uuidString))
    }

    func peripheral(_ peripheral: CBPeripheral, didModifyServices invalidated: [CBService]) {
        if invalidated.contains(where: { $0.uuid == Self.service }) { tell(peripheral, .serviceGone) }
    }
}

extension CBPeripheral {
    fileprivate var lockService: CBService? {
        services?.first { $0.uuid == CBUUID(string: LockProfile.service) }
    }

    fileprivate func characteristic(_ uuid: CBUUID) -> CBCharacteristic? {
        lockService?.characteristics?.first { $0.uuid == uuid }
    }
}
#endif
