"""The pocket pairs: small NLA pairs trained here, turned into ordinary checkpoint directories."""
