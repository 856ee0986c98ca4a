-- What a vendor calls a door that its own SDK opens.
ALTER TABLE doors ADD COLUMN vendor_door TEXT;
